"""The pace of polls: quick after news, slow in the quiet, never too slow for a lease, never quicker than the policy."""

from __future__ import annotations

import pytest

from citgit.model.team import TeamLimits
from citgit.rules.pacing import LEAST, MOST, jittered, next_pause


def test_slower_while_nothing_happens() -> None:
    """From one second to thirty in a few minutes, and back to one at once."""
    pause, waits = LEAST, []
    for _ in range(20):
        pause = next_pause(pause, TeamLimits(), active=False, holding=False)
        waits.append(pause)
    assert waits == sorted(waits)
    assert waits[-1] == MOST
    assert next_pause(MOST, TeamLimits(), active=True, holding=False) == LEAST


@pytest.mark.parametrize("active", [True, False])
def test_a_host_that_counts_requests(active: bool) -> None:
    """The policy's pace holds, whatever happens."""
    slow = TeamLimits(poll=300, ttl=900, beat=300)
    assert next_pause(300, slow, active=active, holding=True) == 300
    assert next_pause(300, slow, active=active, holding=False) == 300


def test_leases_are_renewed_in_time() -> None:
    """Whoever holds a build polls twice per beat, jitter included at least once."""
    pause = next_pause(MOST, TeamLimits(beat=20), active=False, holding=True)
    assert jittered(pause, 1.0) <= 20


def test_jitter() -> None:
    """Half to one and a half."""
    assert (jittered(10, 0.0), jittered(10, 0.5), jittered(10, 1.0)) == (5, 10, 15)
