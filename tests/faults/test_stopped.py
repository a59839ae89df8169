"""A worker that is stopped past its lease: another takes over, and what the first one found out is only evidence."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
from check import check
from test_kill import struck
from world import ROUNDS, World, until

from citgit.model.record import Outcome

WHEN = ("before remote.push:result", "after workshop.start", "before journal.add:result")


MORE = range(1, 3 if ROUNDS == 1 else 10 * ROUNDS)


@pytest.mark.parametrize("at", [0, *(pytest.param(one, marks=pytest.mark.heavy) for one in MORE)])
def test_stale_result(make: Callable[..., World], at: int) -> None:
    """The result of the stopped one does not get through, even when it was about to be pushed."""
    when, step = WHEN[at % len(WHEN)].split()
    world = make(agents=("lab1", "lab2"), ttl=2, beat=1, slow=0.5)
    build = world.ask(1, "slow")[0]
    mark = world.top / "mark"
    first = world.worker("lab1", program=struck(when=when, step=step, signal="SIGSTOP", mark=mark))
    until("the stop", mark.exists)
    second = world.worker("lab2")
    until("the takeover", lambda: second.told("claimed", "takeover"))
    if at % 2:
        world.until_archived()
    os.kill(first.process.pid, signal.SIGCONT)
    world.until_archived()
    until("the first to notice", lambda: first.told("stale"))
    until("its attempt to be put aside", lambda: all((one / ".finished").exists() for one, _ in world.attempts()))
    time.sleep(0.5)
    found = check(world, once=False)[build]
    assert (found.outcome, found.valid_claims) == (Outcome.PASSED, 2)
    assert found.held is not None
    assert found.held.actor == "agent:lab2"
    assert not first.told("result")
    assert "lab2 took over as attempt 2" in world.cit("why", build)
    assert "claim" in world.cit("show", build)
    assert world.kept("lab1") == []
    assert first.process.poll() is None
