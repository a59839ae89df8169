"""Drafts the result of an attempt: whole, or without what a record has no room for."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from citgit.errors import BadRecord
from citgit.flows.builds import Repository
from citgit.flows.private import conceal_result
from citgit.flows.state import Actor, State
from citgit.flows.writing import Draft, draft
from citgit.model.build import Build
from citgit.model.record import LogSummary, Outcome, Result
from citgit.rules.authority import stop_reason

_FEW = 5
_SHORT = 200


def draft_result(state: State, actor: Actor, repository: Repository, build: Build, result: Result) -> Draft:
    """The result of an attempt at `build`, hidden where the build is private.

    What the build says of itself (lines, parts, names of tests) can be more than a record holds; an attempt ends all
    the same. Raises BadRecord if not even its outcome can be told.
    """
    policies = repository.snapshot.policies
    gone = stop_reason(policies.tip, build.owner, build.principal)
    if gone and result.outcome is not Outcome.PASSED:
        result = replace(result, outcome=Outcome.CANCELLED, reason=f"stopped: {gone}")
    fault: BadRecord | None = None
    for one in _shorter(result):
        try:
            return draft(
                state, actor, repository.snapshot, build, conceal_result(state, policies, build, one), stored=False
            )
        except BadRecord as error:
            fault = fault or error
    assert fault is not None
    raise fault


def _shorter(result: Result) -> Iterator[Result]:
    yield result
    tail = tuple(line[:_SHORT] for line in result.log.tail[-_FEW:])
    error = result.first_error and replace(result.first_error, context=())
    tests = result.tests and replace(result.tests, failures=result.tests.failures[:_FEW], slowest=())
    log = replace(result.log, tail=tail)
    yield replace(result, log=log, first_error=error, tests=tests, components=())
    log = LogSummary(where=log.where, out_bytes=log.out_bytes, err_bytes=log.err_bytes, truncated=log.truncated)
    tests = tests and replace(tests, failures=())
    bare = replace(result, log=log, first_error=None, tests=tests, components=())
    yield bare
    # a pass without the files that others were promised would be none
    kept = len(result.artifacts)
    why = f"its {kept} artifacts are more than a record has room for: keep fewer, or an archive of them"
    outcome = Outcome.FAILED if result.outcome is Outcome.PASSED else result.outcome
    yield replace(bare, tests=None, artifacts=(), outcome=outcome, reason=why if kept else result.reason)
