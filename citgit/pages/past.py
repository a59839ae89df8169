"""What summaries of many builds say together: pipelines, builds before, flaky ones, usual durations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from citgit.pages.summary import Summary
from citgit.pages.words import name_of

FOLLOWED = ("running", "stopping")
ACTIVE = (*FOLLOWED, "waiting", "paused")
ENDED = ("passed", "failed")
RED = ("failed", "errored", "timed_out", "broken")
_WORST = ("", *RED, *ACTIVE, "unsupported", "cancelled", "superseded", "skipped", "moved", "reused", "passed")
_USUAL = 20


@dataclass(frozen=True, slots=True)
class Past:
    """All builds of a report, `ordered` with the newest first, by id and by what belongs together."""

    ordered: Sequence[Summary]
    builds: Mapping[str, Summary]
    families: Mapping[str, Sequence[Summary]]
    before: Mapping[str, Summary]
    usual: Mapping[str, int]
    flaky: Mapping[str, frozenset[str]]


def past_of(builds: Mapping[str, Summary], order: Iterable[str]) -> Past:
    """What the builds say together; `order` names them, newest first."""
    ordered = [builds[build] for build in order]
    flaky = {job: flaky_tests(same) for job, same in by_job(ordered).items()}
    return Past(ordered, builds, _families(ordered), _before(ordered), usual_times(ordered), flaky)


def by_job(ordered: Iterable[Summary]) -> dict[str, list[Summary]]:
    """The builds of each job."""
    found: dict[str, list[Summary]] = defaultdict(list)
    for one in ordered:
        found[one.job].append(one)
    return found


def latest(ordered: Iterable[Summary]) -> dict[str, Summary]:
    """The newest build of each branch; of a matrix, the worst of its cells at the newest commit."""
    found: dict[str, Summary] = {}
    seen: set[tuple[str, str]] = set()
    for one in ordered:
        newest = found.setdefault(one.branch, one)
        if one.commit == newest.commit and (one.branch, name_of(one)) not in seen:
            seen.add((one.branch, name_of(one)))
            found[one.branch] = min(newest, one, key=_rank)
    return found


def _rank(one: Summary) -> int:
    return _WORST.index(one.word) if one.word in _WORST else 0


def usual_times(ordered: Iterable[Summary]) -> dict[str, int]:
    """The median duration in ms of the last builds that passed, by job and cell."""
    times: dict[str, list[int]] = defaultdict(list)
    for one in ordered:
        if one.word == "passed" and one.wall_ms and len(times[name_of(one)]) < _USUAL:
            times[name_of(one)].append(one.wall_ms)
    return {name: sorted(values)[len(values) // 2] for name, values in times.items()}


def flaky_builds(builds: Iterable[Summary]) -> list[Summary]:
    """Builds whose inputs equal another one's, and whose outcome does not."""
    return [one for same in _equal(builds) if len({each.word for each in same}) > 1 for one in same]


def flaky_tests(builds: Iterable[Summary]) -> frozenset[str]:
    """Tests that failed in one build and not in another one with equal inputs."""
    found: set[str] = set()
    for same in _equal(one for one in builds if one.tests):
        failed = [frozenset(one.failures) for one in same]
        found |= frozenset().union(*failed) - failed[0].intersection(*failed)
    return frozenset(found)


def _equal(builds: Iterable[Summary]) -> list[list[Summary]]:
    by_key: dict[str, list[Summary]] = defaultdict(list)
    for one in builds:
        if one.key and one.word in ENDED:
            by_key[one.key].append(one)
    return [same for same in by_key.values() if len(same) > 1]


def _families(ordered: Iterable[Summary]) -> dict[str, list[Summary]]:
    """The builds of each pipeline, by the id of the build that began it, oldest first."""
    found: dict[str, list[Summary]] = defaultdict(list)
    for one in ordered:
        found[one.root].append(one)
    return {
        root: sorted(members, key=lambda one: (one.started or one.requested * 1000, one.id))
        for root, members in found.items()
    }


def _before(ordered: Iterable[Summary]) -> dict[str, Summary]:
    """For each build the one before it of the same job, branch and cell that ended by itself."""
    newer: dict[tuple[str, str], list[str]] = defaultdict(list)
    found: dict[str, Summary] = {}
    for one in ordered:
        key = (one.branch, name_of(one))
        if one.word in ENDED:
            found |= dict.fromkeys(newer.pop(key, []), one)
        newer[key].append(one.id)
    return found
