"""Figures for planning: what jobs need, and how much agents are used; computed from results, nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from citgit.model.build import Build, Entry
from citgit.model.record import Claim, Outcome

PASSED = (Outcome.PASSED, Outcome.REUSED)


@dataclass(slots=True, kw_only=True)
class Needs:
    """What builds of one job needed: ms, KiB of memory, bytes of disk; `waited` is from request to claim."""

    builds: int = 0
    ended: int = 0
    passed: int = 0
    wall: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    disk: list[int] = field(default_factory=list)
    waited: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Load:
    """How much of an agent was used: its builds, and the ms that their commands took."""

    builds: int = 0
    busy: int = 0


@dataclass(slots=True)
class Statistics:
    """Needs by job, load by actor, and the span of time (unix seconds) that the builds were asked for in."""

    jobs: dict[str, Needs] = field(default_factory=lambda: defaultdict(Needs))
    agents: dict[str, Load] = field(default_factory=lambda: defaultdict(Load))
    first: int = 0
    last: int = 0


def statistics(builds: Iterable[Build]) -> Statistics:
    """The figures of these builds; those without a request are left out."""
    found = Statistics()
    for build in builds:
        if build.request is None:
            continue
        job = found.jobs[build.request.job]
        job.builds += 1
        found.first = min(found.first or build.requested, build.requested)
        found.last = max(found.last, build.ended or build.requested)
        claim = next((entry for entry in build.entries if _is_claim(entry)), None)
        if claim and claim.link.record:
            job.waited.append(max(0, claim.link.record.head.time - build.requested) * 1000)
        if build.is_final and build.outcome in (*PASSED, Outcome.FAILED):
            job.ended += 1
            job.passed += build.outcome in PASSED
        if build.result and build.result.usage.wall_ms:
            used = build.result.usage
            for values, value in (
                (job.wall, used.wall_ms), (job.cpu, used.cpu_ms), (job.memory, used.max_rss_kib),
                (job.disk, used.disk_bytes),
            ):  # fmt: skip
                values.append(value)
            if build.held:
                agent = found.agents[build.held.actor]
                agent.builds += 1
                agent.busy += used.wall_ms
    return found


def share(values: Sequence[int], part: float) -> int:
    """The value that this part of all values do not exceed; 0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0


def _is_claim(entry: Entry) -> bool:
    return not entry.void and entry.link.record is not None and isinstance(entry.link.record.body, Claim)
