"""The worker's disk is full, broken, read-only, or no descriptor is left, at each write: nothing is lost or doubled."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from check import check
from disk import Disk
from test_host import fill, small_disk
from test_kill import finish
from world import FULL, Record, World, until

from citgit.model.record import Outcome

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE)
SITES = 60 if FULL else 6
EACH = 6


CASES = [(number, first) for number in ERRORS for first in range(0, SITES, EACH)]


def case(number: int, first: int) -> object:
    """One kind of error at six sites; a sample of it runs always."""
    marks = () if (number, first) == (errno.ENOSPC, 0) else pytest.mark.heavy
    return pytest.param(number, first, id=f"{errno.errorcode[number]}-{first}", marks=marks)


@pytest.mark.parametrize(("number", "first"), [case(*each) for each in CASES])
def test_each_write_site(make: Callable[..., World], number: int, first: int, record_property: Record) -> None:
    """From some write on everything fails for a while; the worker lives, and once it is mended all ends well."""
    world = make(slow=0.3)
    disk = Disk(world.top / "disk", f"{world.home('lab1')}/")
    worker = world.worker(env=disk.env, slots=2)
    until("the worker to serve", lambda: worker.told("serving"))
    sites = range(first, min(first + EACH, SITES))
    record_property("tried", len(sites))
    for at in sites:
        chance = random.Random(at)
        world.ask(1, "slow")
        # a first claim writes some 150 times until its result is out
        disk.fail(number, after=chance.randrange(150), times=chance.choice([1, 3, 1 << 40]))
        until("something to fail", lambda: disk.failed() or not world.active())
        time.sleep(chance.uniform(0, 1))
        assert worker.process.poll() is None, worker.log.read_text()[-2000:]
        disk.heal()
        world.until_archived()
    assert disk.failed()
    assert worker.leave() == 0
    builds = check(world)
    errored = [build for build in builds.values() if build.outcome is not Outcome.PASSED]
    for build in errored:  # the node's fault, told as such: never as the job's
        assert build.outcome is Outcome.ERRORED, build.outcome
        assert build.result is not None
        assert build.result.reason
    assert world.kept("lab1") == []


@pytest.mark.heavy
def test_full_disk(make: Callable[..., World], tmp_path: Path) -> None:
    """Below the reserve nothing new is taken, and it is said; what had been taken is published on the last bytes."""
    with small_disk(tmp_path / "disk", "64m"):
        world = make()
        world.home("lab1").symlink_to(tmp_path / "disk")
        running = world.ask(1, "held")[0]
        worker = world.worker(slots=2)
        world.until_running(running)
        fill(tmp_path / "disk" / "filler")
        until("the shortage to be told", lambda: worker.told("short", "are kept for results"))
        waiting = world.ask(1)[0]
        until("the reason", lambda: "takes nothing new: disk:" in world.cit("why", waiting))
        world.go.touch()
        until("the result", lambda: worker.told("result"))
        until("its archive", lambda: running in world.archived())
        assert waiting in world.active()
        assert not world.executions()[waiting]
        (tmp_path / "disk" / "filler").unlink()
        world.until_archived()
        assert worker.told("short", "room again")
        assert {build.outcome for build in check(world).values()} == {Outcome.PASSED}
        finish(world) if worker.process.poll() is not None else worker.leave()
