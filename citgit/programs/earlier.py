"""Earlier builds of the same job: what a build is compared with, and how long it usually takes."""

from __future__ import annotations

from citgit.flows.builds import Repository
from citgit.flows.history import Search
from citgit.model.build import Build
from citgit.model.record import Outcome, Request
from citgit.programs.find import newest_of
from citgit.rules.statistics import share

_TOLD = {one.value for one in (Outcome.PASSED, Outcome.FAILED)}


def earlier(repository: Repository, request: Request, before: str, count: int) -> list[Build]:
    """Up to `count` builds of the job, branch and cell that passed or failed, asked for before the id, newest first."""

    def fits(build: Build) -> bool:
        other = build.request
        return (
            other is not None and build.id < before and build.is_final and build.outcome is not None
            and build.outcome.value in _TOLD and build.result is not None
            and (other.job, other.branch, other.cell) == (request.job, request.branch, request.cell)
        )  # fmt: skip

    return newest_of(
        Search(repository), list(repository.active()),
        lambda line: line.job == request.job and line.branch == request.branch and line.outcome in _TOLD
        and line.build < before,
        fits, count,
    )  # fmt: skip


def usual(builds: list[Build]) -> int:
    """How many ms these builds took, in the middle; 0 if none tells."""
    return share([build.result.usage.wall_ms for build in builds if build.result and build.result.usage.wall_ms], 0.5)
