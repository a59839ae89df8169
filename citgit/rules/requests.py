"""Whether a request is what its ref says: a person's, a trigger's or a promised one; what its job checks out."""

from __future__ import annotations

from citgit.model.job import Job
from citgit.model.record import CauseKind, Promise, Request
from citgit.rules.facts import Facts, Origin
from citgit.rules.ids import promise_id, trigger_digest, trigger_id


def request_fault(repo: str, pool: str, build: str, request: Request, facts: Facts) -> str:
    """Why the request cannot stand at `builds/<pool>/<build>`; "" if it can. May raise NotYet."""
    match request.cause.kind:
        case CauseKind.PERSON:
            return "" if build[14] == "7" else "a person's request has an id of version 7"
        case CauseKind.TRIGGER:
            return _trigger_fault(repo, pool, build, request)
        case CauseKind.PROMISE:
            return _promise_fault(pool, build, request, facts)


def origin_of(actor: str, request: Request, facts: Facts, *, vouched: bool) -> Origin:
    """Who counts as the owner, and the principal of a trigger's request. May raise NotYet."""
    cause = request.cause
    match cause.kind:
        case CauseKind.PERSON:
            return Origin(actor, "")
        case CauseKind.TRIGGER:
            return Origin(cause.pushed_by if vouched else "", cause.principal)
        case CauseKind.PROMISE:
            promised = facts.promised(cause.build, cause.index)
            return promised.origin if promised else Origin("", "")


def named_sources(job: Job) -> list[tuple[str, str, str]]:
    """What a job checks out: repository, branch ("" for the one that is built), place below the workspace."""
    also = [(one.repo, one.ref, one.at.rstrip("/")) for one in job.source.also]
    return [(job.source.repo, job.source.ref, "."), *also]


def promises_fault(build: str, promises: tuple[Promise, ...], before: int) -> str:
    """Why the promises of a record are not this build's; `before` counts those of earlier records."""
    for index, promise in enumerate(promises, before):
        cause = promise.request.cause
        if promise.id != promise_id(build, index):
            return f"promise {index} has an id that does not derive from this build"
        if (cause.kind, cause.build, cause.index) != (CauseKind.PROMISE, build, index):
            return f"promise {index} does not name this build as its cause"
    return ""


def _trigger_fault(repo: str, pool: str, build: str, request: Request) -> str:
    cause = request.cause
    if trigger_digest(repo, cause.principal, pool, request) != cause.digest:
        return "the digest is not that of the request"
    if trigger_id(cause.time, cause.digest) != build:
        return "the ref's name is not the request's digest"
    if pool != request.definition.place.pool:
        return "a trigger's request cannot choose its pool"
    # whoever speaks for the trigger may not slip anything of their own into it
    free = (
        request.priority,
        request.on,
        request.prefer,
        request.probed,
        request.readers,
        request.retry_of,
        request.private,
        cause.message,
    )
    if any(free) or request.upstream:
        return "a trigger's request has a field that only a person may set"
    return ""


def _promise_fault(pool: str, build: str, request: Request, facts: Facts) -> str:
    promised = facts.promised(request.cause.build, request.cause.index)
    if promised is None:
        return "no valid record promises this build"
    promise = promised.promise
    if (promise.id, promise.pool) != (build, pool):
        return "the promise is for another ref"
    if promise.request != request:
        return "the request is not the promised one"
    return ""
