"""Many workers on one repository: every attempt has one claim, every build one result."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest
from check import check
from world import Record, World, until

from citgit.model.record import Outcome


@pytest.mark.parametrize(
    ("workers", "builds"), [(4, 24), pytest.param(8, 1000, marks=pytest.mark.heavy)], ids=["sample", "full"]
)
def test_one_claim_each(make: Callable[..., World], workers: int, builds: int) -> None:
    """Nobody builds what another one holds, and nothing is left over."""
    world = make(agents=[f"lab{at}" for at in range(workers)])
    world.ask(builds)
    for agent in world.agents:
        world.worker(agent, slots=2)
    world.until_archived(60 + builds)
    found = check(world)
    assert Counter(build.outcome for build in found.values()) == {Outcome.PASSED: builds}
    assert all(build.valid_claims == 1 for build in found.values())
    assert sum(world.executions().values()) == builds


@pytest.mark.soak
def test_many_claimers(make: Callable[..., World], record_property: Record) -> None:
    """64 claimers at once: as many claims as builds, and nobody goes without one for two minutes while builds wait."""
    world = make(agents=[f"lab{at}" for at in range(64)])
    workers = [world.worker(agent, interval=1) for agent in world.agents]
    for worker in workers:
        until("everybody to serve", lambda: worker.told("serving"))  # noqa: B023
    record_property("tried", len(world.ask(1000)))
    last, silent = dict.fromkeys(world.agents, time.monotonic()), 0.0
    counts = dict.fromkeys(world.agents, 0)
    while len(world.active()) > 2 * len(workers):
        for worker in workers:
            claims = sum(event["event"] == "claimed" for event in worker.events())
            if claims > counts[worker.agent]:
                counts[worker.agent], last[worker.agent] = claims, time.monotonic()
            silent = max(silent, time.monotonic() - last[worker.agent])
        time.sleep(1)
    world.until_archived(3600)
    found = check(world)
    assert sum(build.claims for build in found.values()) == 1000
    assert silent < 120, f"somebody went without a claim for {silent:.0f} s"
