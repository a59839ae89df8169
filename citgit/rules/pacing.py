"""How long a worker waits between two polls: short after something happened, longer and longer while nothing does."""

from __future__ import annotations

from citgit.model.team import TeamLimits

LEAST, MOST = 1.0, 30.0
"""Seconds, unless the policy asks for more: some hosts count requests."""

_SLOWER = 1.5


def next_pause(before: float, limits: TeamLimits, *, active: bool, holding: bool) -> float:
    """Seconds until the next poll, before jitter; `holding` while leases have to be renewed."""
    least = max(LEAST, float(limits.poll))
    wanted = least if active else min(max(MOST, least), before * _SLOWER)
    # a beat is written by a poll, so the slowest poll still leaves room for one that fails
    return max(least, min(wanted, limits.beat / 2)) if holding else max(least, wanted)


def jittered(pause: float, chance: float) -> float:
    """`pause` ± 50 %; `chance` (0..1) keeps workers that started together from polling together."""
    return pause * (0.5 + chance)
