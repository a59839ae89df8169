"""What overviews show of a build: small, kept between two reports, and true for one tip under one policy."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from citgit.model.build import Build, Entry
from citgit.model.record import CauseKind, Claim


class Summary(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One build in short. `word` is its outcome or state; `requested` in unix seconds, other times in ms.

    `root` is the build whose request began the pipeline, `upstream` maps labels of that pipeline to ids; `key` is
    the build key: equal keys mean equal inputs.
    """

    id: str
    tip: str
    pool: str = ""
    job: str = ""
    branch: str = ""
    cell: dict[str, str] = {}
    commit: str = ""
    word: str = ""
    reason: str = ""
    owner: str = ""
    agent: str = ""
    requested: int = 0
    started: int = 0
    ended: int = 0
    wall_ms: int = 0
    tests: int = 0
    failed: int = 0
    failures: tuple[str, ...] = ()
    error: str = ""
    voids: int = 0
    root: str = ""
    upstream: dict[str, str] = {}
    key: str = ""


def summary(build: Build, plain: Callable[[object], str]) -> Summary:
    """The build in short, its texts made safe to show by `plain`."""
    request, result = build.request, build.result
    claim = last_claim(build)
    tests = result.tests if result else None
    error = result.first_error if result else None
    cause = request.cause if request else None
    head = claim.link.record.head if claim and claim.link.record else None
    claimed = head.time if head else 0
    return Summary(
        id=build.id, tip=build.tip, pool=build.pool, word=word(build), owner=plain(build.owner or build.principal),
        job=plain(request.job) if request else "", branch=plain(request.branch) if request else "",
        cell={plain(key): plain(value) for key, value in request.cell.items()} if request else {},
        upstream=dict(request.upstream) if request else {},
        commit=request.commit if request else "",
        reason=plain((result.reason if result else "") or build.broken or build.unsupported),
        agent=plain(head.actor) if head else "",
        requested=build.requested, wall_ms=result.usage.wall_ms if result else 0,
        started=(result.started if result else 0) or claimed * 1000,
        ended=(result.ended if result else 0) or build.ended * 1000,
        tests=tests.total if tests else 0, failed=tests.failed if tests else 0,
        failures=tuple(map(plain, tests.failures)) if tests else (), error=plain(error.message[:200]) if error else "",
        voids=sum(1 for entry in build.entries if entry.void),
        root=cause.build if cause and cause.kind is CauseKind.PROMISE else build.id,
        key=result.key if result else "",
    )  # fmt: skip


def word(build: Build) -> str:
    """The build's outcome or state; "broken" and "unsupported" where its chain cannot be followed."""
    if build.broken:
        return "broken"
    if build.unsupported:
        return "unsupported"
    return build.outcome.value if build.outcome else build.state


def last_claim(build: Build) -> Entry | None:
    """The last valid claim; None if nobody ever took the build."""
    for entry in reversed(build.entries):
        if not entry.void and entry.link.record and isinstance(entry.link.record.body, Claim):
            return entry
    return None
