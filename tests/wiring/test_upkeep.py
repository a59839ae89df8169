"""An idle worker packs what it owns, in a process that a build ends."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest
from world import until

from citgit.git.maintenance import LOOSE, look
from citgit.git.objects import GitObjects, init_bare
from citgit.machine import process_start
from citgit.wiring.upkeep import EVERY, QUIET, Upkeep


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A worker's home whose store has more loose objects than it should have."""
    (tmp_path / "attempts").mkdir()
    init_bare(tmp_path / "state.git", state_only=True)
    objects = GitObjects(tmp_path / "state.git")
    for at in range(LOOSE + 5):
        objects.write("blob", b"%d" % at)
    return tmp_path


def loose_after(home: Path, seconds: float) -> int:
    """The loose objects that are left when there are none any more, or time is up."""
    until = time.monotonic() + seconds
    while (left := look(home / "state.git").loose) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def test_it_waits_until_the_worker_is_idle(home: Path) -> None:
    """Nothing happens within a minute of the last build; then it packs, once an hour."""
    upkeep = Upkeep(home, str(home / "elsewhere"))
    upkeep.turn(0.0, idle=True)
    upkeep.turn(QUIET - 1, idle=True)
    upkeep.turn(QUIET, idle=False)
    upkeep.turn(QUIET + 1, idle=True)
    upkeep.turn(2 * QUIET, idle=True)
    assert upkeep.process is None
    upkeep.turn(2 * QUIET + 1, idle=True)
    assert upkeep.process is not None
    assert loose_after(home, 300) == 0
    assert upkeep.process.wait(300) == 0
    first = upkeep.process
    upkeep.turn(2 * QUIET + 2, idle=True)
    upkeep.turn(2 * QUIET + 1 + EVERY, idle=True)
    assert upkeep.process is first, "nothing is due any more"


def test_a_build_ends_it(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being packed waits for another time, and nothing is lost by that: git is ended in the middle."""
    programs, told = tmp_path / "bin", tmp_path / "pid"
    programs.mkdir()
    # begins as git does, and is not done before it is ended
    (programs / "git").write_text(
        f"#!/bin/sh\ncase $* in *repack*) echo $$ >{told}.new; mv {told}.new {told}; exec sleep 600 ;; esac\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    upkeep = Upkeep(home, str(home / "elsewhere"))
    upkeep.turn(0.0, idle=True)
    upkeep.turn(QUIET, idle=True)
    assert upkeep.process is not None
    until("git", told.exists, 300)
    upkeep.turn(QUIET + 1, idle=False)
    assert upkeep.process.wait(30) != 0
    until("the end of git", lambda: process_start(int(told.read_text())) is None, 30)
    assert look(home / "state.git").loose == LOOSE + 5, "nothing was packed"
    objects = GitObjects(home / "state.git")
    for data in (b"%d" % at for at in range(LOOSE + 5)):
        assert objects.read(hashlib.sha1(b"blob %d\0%b" % (len(data), data)).hexdigest()) == ("blob", data)
