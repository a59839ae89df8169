"""What this user has, whatever the hosts have: checkouts that citgit was used in, and builds that were asked for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from citgit.wiring.clone import Clone, state_dir

MOST = 2000
"""Builds that are listed; of older ones the repositories tell."""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A build that was asked for here: when (unix seconds), in which checkout, for whom, what; `answer` of the host."""

    time: int
    clone: str
    url: str
    build: str
    pool: str
    job: str
    branch: str
    commit: str
    answer: str = ""


def note_clone(clone: Clone) -> None:
    """Remembers a checkout, so that its builds are listed with those of the others."""
    line = str(clone.top)
    if "\n" not in line and line not in _lines(_clones()):
        with contextlib.suppress(OSError):
            _append(_clones(), [line.encode("utf-8", "surrogateescape")])


def known_clones() -> list[Path]:
    """The checkouts that are still there, the oldest first."""
    return [path for line in dict.fromkeys(_lines(_clones())) if (path := Path(line)).is_dir()]


def note_started(started: Sequence[Started]) -> None:
    """Remembers builds that were asked for."""
    with contextlib.suppress(OSError):
        _append(_started(), [msgspec.json.encode(one) for one in started])


def started() -> list[Started]:
    """The builds that were asked for here, the newest first; the last word on each."""
    found: dict[str, Started] = {}
    for line in _lines(_started()):
        with contextlib.suppress(msgspec.MsgspecError):
            one = msgspec.json.decode(line, type=Started)
            found[one.build] = one
    return sorted(found.values(), key=lambda one: (one.time, one.build), reverse=True)[:MOST]


def _clones() -> Path:
    return state_dir() / "clones.txt"


def _started() -> Path:
    return state_dir() / "started.jsonl"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []


def _append(path: Path, lines: Sequence[bytes]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, b"".join(line + b"\n" for line in lines))
    finally:
        os.close(handle)
