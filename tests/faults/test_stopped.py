"""A worker that is stopped past its lease: another takes over, and what the first one found out is only evidence."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
from check import check
from test_kill import struck
from world import FULL, Record, Started, World, until

from citgit.model.record import Outcome

WHEN = ("before remote.push:result", "after workshop.start", "before journal.add:result")
STOPS = 200 if FULL else 4
EACH = 10

CASES = [pytest.param(0, 1, id="sample")] + [
    pytest.param(first, min(EACH, STOPS - first), id=f"from{first}", marks=pytest.mark.heavy)
    for first in range(0, STOPS, EACH)
]


def count(worker: Started, kind: str) -> int:
    """How many events of that kind it told."""
    return sum(event["event"] == kind for event in worker.events())


@pytest.mark.parametrize(("number", "stops"), CASES)
def test_stale_result(make: Callable[..., World], number: int, stops: int, record_property: Record) -> None:
    """The result of the stopped one does not get through, even when it was about to be pushed."""
    when, step = WHEN[number // EACH % len(WHEN)].split()
    # long enough that a slow machine lets nobody's lease run out but that of the stopped one
    world = make(agents=("lab1", "lab2"), ttl=8 if FULL else 2, beat=1, slow=0.5)
    mark = world.top / "mark"
    first = world.worker("lab1", program=struck(when=when, step=step, signal="SIGSTOP", mark=mark, every=True))
    second = world.worker("lab2")
    until("both to serve", lambda: first.told("serving") and second.told("serving"))
    for at in range(stops):
        os.kill(second.process.pid, signal.SIGSTOP)
        build = world.ask(1, "slow")[0]
        until("the stop", mark.exists)
        mark.unlink()
        os.kill(second.process.pid, signal.SIGCONT)
        until("the takeover", lambda: count(second, "claimed") > at)  # noqa: B023
        if at % 2:
            until("the archive", lambda: build in world.archived())  # noqa: B023
        os.kill(first.process.pid, signal.SIGCONT)
        world.until_archived()
        until("the first to notice", lambda: count(first, "stale") > at)  # noqa: B023
        until("its attempt to be put aside", lambda: all((one / ".finished").exists() for one, _ in world.attempts()))
        time.sleep(0.5)
    record_property("tried", stops)
    for found in check(world, once=False).values():
        assert (found.outcome, found.valid_claims) == (Outcome.PASSED, 2)
        assert found.held is not None
        assert found.held.actor == "agent:lab2"
    assert "lab2 took over as attempt 2" in world.cit("why", build)
    assert "claim" in world.cit("show", build)
    assert not first.told("result")
    assert world.kept("lab1") == []
    assert first.process.poll() is None
