"""Many workers on one repository: every attempt has one claim, every build one result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from check import check
from world import World

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
