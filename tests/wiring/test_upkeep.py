"""An idle worker packs what it owns, in a process that a build ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from citgit.git.maintenance import LOOSE, look
from citgit.git.objects import GitObjects, init_bare
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
    assert loose_after(home, 60) == 0
    assert upkeep.process.wait(60) == 0
    first = upkeep.process
    upkeep.turn(2 * QUIET + 2, idle=True)
    upkeep.turn(2 * QUIET + 1 + EVERY, idle=True)
    assert upkeep.process is first, "nothing is due any more"


def test_a_build_ends_it(home: Path) -> None:
    """What is being packed waits for another time, and nothing is lost by that."""
    upkeep = Upkeep(home, str(home / "elsewhere"))
    upkeep.turn(0.0, idle=True)
    upkeep.turn(QUIET, idle=True)
    assert upkeep.process is not None
    upkeep.turn(QUIET + 1, idle=False)
    upkeep.process.wait(30)
    objects = GitObjects(home / "state.git")
    assert all(objects.read(objects.write("blob", b"%d" % at))[1] == b"%d" % at for at in range(0, LOOSE, 50))
