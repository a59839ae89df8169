"""Long logs are packed in the back: by a process of its own, for finished attempts alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from citgit.logs.capture import Capture
from citgit.model.record import Exit
from citgit.wiring.packing import Packing, unpacked
from citgit.workspaces.kept import CLEAN


def attempt(home: Path, claim: str, size: int, *, finished: bool = True) -> Path:
    """The log of an attempt that printed so many bytes."""
    log = home / "attempts" / claim / "log"
    Capture().begin(log, "", 1)
    (log / "out").write_bytes(b"x" * size)
    Capture().finish(log, 9, Exit(status=0), 10**9)
    if finished:
        (log.parent / CLEAN).touch()
    return log


def test_a_long_log_is_packed_without_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call returns at once; a little later all finished ones are packed, and no other."""
    monkeypatch.setenv("CITGIT_HOME", str(tmp_path / "citgit"))
    logs = [attempt(tmp_path, str(at) * 40, 10**5 * at, finished=at < 3) for at in range(4)]
    assert list(unpacked(tmp_path)) == logs[1:3]
    packing = Packing(tmp_path)
    packing.finished(logs[0])
    assert packing.running == []
    packing.finished(logs[2])
    (child,) = packing.running
    end = time.monotonic() + 30
    while any(unpacked(tmp_path)) and time.monotonic() < end:
        time.sleep(0.02)
    assert child.wait(10) == 0
    assert list(unpacked(tmp_path)) == []
    assert (logs[1] / "out.zst").is_file()
    assert (logs[3] / "out").is_file()
