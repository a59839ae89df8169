"""How a build's test results differ from those of earlier builds of its job: newly failing, newly fixed, flaky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from citgit.model.build import Build
from citgit.model.record import Tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Names of tests; `before` is the build that the first two are told against, "" if there is none.

    Flaky is what failed in one of two builds with equal inputs (the same build key) and not in the other.
    """

    newly_failing: tuple[str, ...] = ()
    newly_fixed: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    before: str = ""


def changes(build: Build, earlier: Sequence[Build]) -> Changes:
    """What differs from `earlier` builds of the job, newest first.

    Results hold a bounded number of names: what may only be missing from a list is not told.
    """
    now = _tests(build)
    if now is None:
        return Changes()
    known = [(one, tests) for one in earlier if (tests := _tests(one))]
    flaky = _flaky([(build, now), *known])
    if not known:
        return Changes(flaky=flaky)
    before = known[0][1]
    return Changes(
        newly_failing=tuple(name for name in now.failures if name not in before.failures) if _whole(before) else (),
        newly_fixed=tuple(name for name in before.failures if name not in now.failures) if _whole(now) else (),
        flaky=flaky,
        before=known[0][0].id,
    )


def _flaky(known: Sequence[tuple[Build, Tests]]) -> tuple[str, ...]:
    failed: dict[str, list[set[str]]] = {}
    for build, tests in known:
        if build.result and build.result.key and _whole(tests):
            failed.setdefault(build.result.key, []).append(set(tests.failures))
    found = {
        name for same in failed.values() for name in set().union(*same) if not all(name in names for names in same)
    }
    return tuple(sorted(found))


def _tests(build: Build) -> Tests | None:
    return build.result.tests if build.result else None


def _whole(tests: Tests) -> bool:
    return len(tests.failures) >= tests.failed
