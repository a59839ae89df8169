"""Many traces, over all cores; a failure names one seed and one command."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from citgit.testing.simulation.check import Broken
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.trace import Trace

CHUNK = 20


@dataclass(slots=True)
class Summary:
    """What a campaign saw: counts by what happened, and the failures, each with its seed and command.

    All profiles were played with every seed before `next`.
    """

    traces: int = 0
    next: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Summary) -> None:
        """Takes in what another part saw."""
        self.traces += other.traces
        self.counts.update(other.counts)
        self.failures += other.failures


def run(
    profiles: Sequence[str], first: int, count: int, jobs: int, *, most_failures: int = 10, minutes: float = 0
) -> Iterator[Summary]:
    """Runs `count` traces of each profile from the seed `first` on; yields the summary so far as it grows.

    It ends early after `most_failures`, or after `minutes` (0: whatever it takes).
    """
    size = CHUNK if jobs > 1 else 1
    chunks = [
        (profile, seed, min(size, first + count - seed))
        for seed in range(first, first + count, size)
        for profile in profiles
    ]
    total, began = Summary(next=first), time.monotonic()
    with multiprocessing.Pool(jobs) if jobs > 1 else nullcontext() as pool:
        # in order, so that whoever stops it knows where to go on
        parts = pool.imap(_chunk, chunks) if pool else map(_chunk, chunks)
        for (profile, seed, played), part in zip(chunks, parts, strict=True):
            total.add(part)
            total.next = seed + played if profile == profiles[-1] else total.next
            total.seconds = time.monotonic() - began
            yield total
            if len(total.failures) >= most_failures or (minutes and total.seconds >= 60 * minutes):
                break


def _chunk(chunk: tuple[str, int, int]) -> Summary:
    profile, first, count = chunk
    seen = Summary()
    for seed in range(first, first + count):
        one(profile, seed, seen)
    return seen


def one(profile: str, seed: int, seen: Summary) -> None:
    """One trace, whatever comes of it."""
    trace = Trace(seed, PROFILES[profile])
    try:
        trace.run()
        trace.check()
    except Broken as broken:
        seen.failures.append(str(broken))
    except Exception as error:
        again = f"python -m citgit.testing.simulation --profile {profile} --first {seed} --count 1"
        seen.failures.append(f"{type(error).__name__}: {error}\nseed {seed}: {again}")
    seen.traces += 1
    seen.counts.update(trace.counts())
