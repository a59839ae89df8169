"""Which notices are due: builds that ended since they were last looked at, and what that means to each rule."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec

from citgit.flows.builds import Repository
from citgit.model.build import Build
from citgit.model.globs import matches, matches_branch
from citgit.model.notice import Before, Notice, On, Rule
from citgit.model.record import Outcome
from citgit.programs.earlier import earlier
from citgit.programs.wording import agent
from citgit.rules.ids import time_of
from citgit.rules.private import is_private

SLACK = 86_400
"""Seconds by which a build may have been asked for before the last look, ended since, and be unknown all the same."""

_MOST = 20_000
_TOLD = (Outcome.PASSED, Outcome.FAILED)


class Memory(msgspec.Struct, kw_only=True):
    """What is remembered between two looks: since when each rule counts, when it was last looked (unix seconds).

    `open` are builds that had not ended then, `settled` those that had and are told; `tries` counts failed
    deliveries and when the next one is due, by notice.
    """

    since: dict[str, int] = {}
    looked: int = 0
    open: list[str] = []
    settled: list[str] = []
    told: list[str] = []
    tries: dict[str, tuple[int, int]] = {}


def ended(repository: Repository, memory: Memory) -> Iterator[Build]:
    """The builds that ended and are not settled: active ones, those that were open, and the newest archived ones."""
    known = set(memory.settled)
    seen = set()
    for build in repository.active():
        seen.add(build.id)
        if build.is_final and build.id not in known:
            yield build
    for one in memory.open:
        if one not in seen and one not in known and (found := repository.find(one)) and found.is_final:
            seen.add(one)
            yield found
    floor = (memory.looked - SLACK) * 1000
    for pool, archive, one in itertools.islice(repository.archived_ids(), _MOST):
        if time_of(one) < floor:
            return
        if one not in seen and one not in known and (found := repository.archived_build(pool, archive, one)):
            yield found


def notices(repository: Repository, build: Build, rule: Rule, me: str, checkout: str) -> Iterator[Notice]:
    """What the rule wants to be told of this build."""
    request = build.request
    if request is None or build.outcome is None or not _fits(build, rule, me):
        return
    before = next(iter(earlier(repository, request, build.id, 1)), None)
    hidden = is_private(request)
    result = None if hidden else build.result
    for event in _events(build, before):
        if event in rule.on:
            yield Notice(
                id=f"{rule.name}.{event.value}.{build.id}", event=event, build=build.id, job=request.job,
                branch=request.branch, cell={} if hidden else dict(request.cell), outcome=build.outcome.value,
                commit=request.sources[0].commit if request.sources else "", pool=build.pool, owner=build.owner,
                agent=agent(build), reason=result.reason if result else "", requested=build.requested,
                ended=build.ended, wall_ms=result.usage.wall_ms if result else 0,
                first_error=result.first_error if result else None, tests=result.tests if result else None,
                before=_before(before) if before else None, checkout=checkout, settings=rule.settings,
            )  # fmt: skip


def _events(build: Build, before: Build | None) -> Iterator[On]:
    yield On.FINISHED
    passed = before is None or before.outcome is Outcome.PASSED
    if build.outcome is Outcome.FAILED and passed:
        yield On.RED
    if build.outcome is Outcome.PASSED and not passed:
        yield On.GREEN


def _before(build: Build) -> Before:
    commit = build.request.sources[0].commit if build.request and build.request.sources else ""
    return Before(build=build.id, outcome=build.outcome.value if build.outcome else "", commit=commit)


def _fits(build: Build, rule: Rule, me: str) -> bool:
    request = build.request
    assert request is not None
    owner = build.owner.removeprefix("person:")
    mine = "*" in rule.owners or owner in rule.owners or ("me" in rule.owners and bool(me) and owner == me)
    return mine and matches(rule.jobs, request.job) and matches_branch(rule.branches, request.branch)
