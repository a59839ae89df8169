"""What the registry knows of a record type: its body, its subject line, and checks beyond the types."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from citgit.errors import BadRecord
from citgit.model.names import is_build_id, is_name, is_oid, plain_parts
from citgit.model.record import CauseKind, Payload, Promise, RecordType, Request


class Spec(NamedTuple):
    """A record type. `subject` is the text after "type: "; `faults` yields what the types cannot say.

    `payloads` gives the files that the record's tree holds.
    """

    type: RecordType
    body: Any
    subject: Callable[[Any], str]
    faults: Callable[[Any], Iterator[str]]
    payloads: Callable[[Any], tuple[Payload, ...]] = lambda _body: ()


def no_faults(_body: Any) -> Iterator[str]:
    """For types whose fields need no more than their types."""
    yield from ()


def oid_fault(field: str, text: str) -> Iterator[str]:
    """A fault if `text` is not an object name."""
    if not is_oid(text):
        yield f"{field}: not an object name: {text[:60]!a}"


def build_fault(field: str, text: str) -> Iterator[str]:
    """A fault if `text` is not a build id."""
    if not is_build_id(text):
        yield f"{field}: not a build id: {text[:60]!a}"


def name_fault(field: str, text: str) -> Iterator[str]:
    """A fault if `text` is not a name."""
    if not is_name(text):
        yield f"{field}: not a name: {text[:60]!a}"


def line_fault(field: str, text: str, longest: int = 1000) -> Iterator[str]:
    """A fault if `text` is longer than a person would write, or has control characters."""
    if len(text) > longest:
        yield f"{field}: longer than {longest} characters"
    if any(ord(char) < 32 and char not in "\n\t" for char in text):
        yield f"{field}: has control characters"


def request_faults(request: Request) -> Iterator[str]:
    """What is wrong with a request, whether it stands alone or is promised."""
    yield from name_fault("job", request.job)
    yield from line_fault("branch", request.branch, 255)
    yield from oid_fault("config.commit", request.config.commit)
    yield from _source_faults([source.at for source in request.sources])
    for source in request.sources:
        yield from oid_fault("sources.commit", source.commit)
    if not 1 <= request.max_attempts <= 100:
        yield "max_attempts: not in 1..100"
    for job, build in request.upstream.items():
        yield from build_fault(f"upstream.{job[:63]}", build)
    if request.on:
        yield from name_fault("on", request.on)
    if not -1000 <= request.priority <= 1000:
        yield "priority: not in -1000..1000"
    yield from line_fault("cause.message", request.cause.message)
    if request.cause.kind is CauseKind.PROMISE:
        yield from build_fault("cause.build", request.cause.build)
    yield from promise_faults(request.promises)


def _source_faults(places: Sequence[str]) -> Iterator[str]:
    """What is wrong with where sources are checked out: a name of somebody else's becomes a path there."""
    if not places:
        yield "sources: empty"
    for index, at in enumerate(places):
        if index == 0:
            if at != ".":
                yield f"sources.at: the first is the workspace itself, not {at[:60]!a}"
        elif not plain_parts(at):
            yield f"sources.at: not a path below the workspace: {at[:60]!a}"
        elif any(f"{at}/".startswith(f"{one}/") or f"{one}/".startswith(f"{at}/") for one in places[1:index]):
            yield f"sources.at: in the way of another source: {at[:60]!a}"


def promise_faults(promises: tuple[Promise, ...]) -> Iterator[str]:
    """What is wrong with promised builds; a promised request promises nothing itself."""
    for index, promise in enumerate(promises):
        yield from build_fault(f"promises[{index}].id", promise.id)
        yield from name_fault(f"promises[{index}].pool", promise.pool)
        if promise.request.promises:
            yield f"promises[{index}]: promises further builds"
        for fault in request_faults(promise.request):
            yield f"promises[{index}].{fault}"


def refuse(faults: Iterator[str], what: str) -> None:
    """Raises BadRecord with the first fault, if there is one."""
    for fault in faults:
        raise BadRecord(f"{what}: {fault}", rule="field")
