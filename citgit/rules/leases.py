"""Leases without clocks (PROTOCOL §4): what an observer may conclude from polls in which nothing changed."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_INTERVAL = 60.0
"""Seconds that one interval between two polls counts at most: a sleeping observer observes nothing."""

MARGIN = 1.5
"""An observer waits this many lease times: clocks may run at different rates, pushes take time."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How long (build tip, holder's beat) stayed unchanged, in seconds of the observer's own clock."""

    tip: str
    beat: str
    unchanged: float = 0.0
    polls: int = 0


def observe(before: Watch | None, tip: str, beat: str, interval: float) -> Watch:
    """The watch after one more successful poll, `interval` seconds after the last successful one."""
    if before is None or (before.tip, before.beat) != (tip, beat):
        return Watch(tip, beat)
    return Watch(tip, beat, before.unchanged + min(max(interval, 0.0), LONGEST_INTERVAL), before.polls + 1)


def ran_out(watch: Watch, ttl: int, jitter: float) -> bool:
    """Whether the lease may be taken; `jitter` (0..1) spreads the takers over half a lease time."""
    return watch.unchanged >= ttl * (MARGIN + 0.5 * jitter) and watch.polls > 0


def still_mine(renewed_at: float, now: float, ttl: int) -> bool:
    """Whether a holder may still act outside: one TTL from when its last acknowledged renewal *began*."""
    return now - renewed_at < ttl
