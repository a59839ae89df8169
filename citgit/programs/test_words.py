"""What is said of a build's tests: totals, failures, the slowest, and what changed since earlier builds."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.flows.builds import Repository
from citgit.model.build import Build
from citgit.programs.earlier import earlier
from citgit.programs.find import short
from citgit.programs.wording import plain, span
from citgit.rules.test_changes import Changes, changes

_LOOK_BACK = 20
_MOST = 10


def changed(repository: Repository, build: Build) -> Changes:
    """How the build's tests differ from those of the builds before it."""
    if build.request is None or build.result is None or build.result.tests is None:
        return Changes()
    return changes(build, earlier(repository, build.request, build.id, _LOOK_BACK))


def change_lines(found: Changes) -> Iterator[str]:
    """What changed, a line for each kind."""
    since = f" (not in {short(found.before)})" if found.before else ""
    for what, names in (
        (f"newly failing{since}", found.newly_failing), ("newly fixed", found.newly_fixed),
        ("flaky, differ at equal inputs", found.flaky),
    ):  # fmt: skip
        if names:
            more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
            yield f"{what}: {', '.join(plain(name) for name in names[:_MOST])}{more}"


def test_lines(build: Build, found: Changes) -> Iterator[tuple[str, str]]:
    """(what, words) of the tests, for a table of fields."""
    tests = build.result.tests if build.result else None
    if tests is None:
        return
    yield "tests", f"{tests.total}, {tests.failed} failed, {tests.skipped} skipped"
    for name in tests.failures:
        mark = "  (newly failing)" if name in found.newly_failing else "  (flaky)" if name in found.flaky else ""
        yield "", plain(name) + mark
    for line in change_lines(Changes(newly_fixed=found.newly_fixed, flaky=found.flaky)):
        yield "", line
    if tests.slowest:
        slow = ", ".join(f"{plain(one.name)} {span(one.ms / 1000)}" for one in tests.slowest[:3])
        yield "", f"slowest: {slow}"
