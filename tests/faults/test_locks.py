"""A lock that a killed git left at the host: that build stalls, and it is said; the doctor mends it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from check import check
from world import World, until

from citgit.model.record import Outcome


@pytest.mark.parametrize(
    "network", [pytest.param(False, id="path"), pytest.param(True, id="ssh", marks=pytest.mark.heavy)]
)
def test_stale_ref_lock(make: Callable[..., World], network: bool) -> None:
    """Told within one poll, named and removed by the doctor; nothing was written meanwhile that is not needed."""
    world = make(network=network)
    stuck, fine = world.ask(2)
    lock = world.bare / "refs" / "cit" / "builds" / "default" / f"{stuck}.lock"
    lock.touch()
    worker = world.worker(slots=2)
    until("the lock to be named", lambda: worker.told("doubt", f"{stuck}.lock"))
    until("the other build to end", lambda: fine in world.archived())
    time.sleep(1)
    objects = world.home("lab1") / "state.git" / "objects"
    before = sum(1 for path in objects.rglob("*") if path.is_file())
    time.sleep(2)
    assert sum(1 for path in objects.rglob("*") if path.is_file()) == before, "each poll made another record"
    assert stuck in world.active()
    assert str(lock) not in world.cit("doctor", ok=(0, 1)), "a lock of this moment may be somebody's"
    old = time.time() - 3600
    os.utime(lock, (old, old))
    assert str(lock) in world.cit("doctor", ok=(1,))
    assert lock.exists()
    assert f"stale lock {lock}: removed" in world.cit("doctor", "--mend", ok=(0, 1))
    world.until_archived()
    until("the worker's own lock to go too", lambda: not lock.exists())
    assert {build.outcome for build in check(world).values()} == {Outcome.PASSED}
