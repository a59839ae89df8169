"""The `claim` record: takes a build for one attempt."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Claim, RecordType
from citgit.records.spec import Spec, line_fault, oid_fault


def _subject(body: Claim) -> str:
    return f"attempt {body.attempt}" + (" (takeover)" if body.takeover else "")


def _faults(body: Claim) -> Iterator[str]:
    if not 1 <= body.attempt <= 1000:
        yield "attempt: not in 1..1000"
    yield from line_fault("node", body.node, 255)
    if body.takeover:
        yield from oid_fault("takeover.claim", body.takeover.claim)
    for job, final in body.upstream.items():
        yield from oid_fault(f"upstream.{job[:63]}", final)


SPEC = Spec(RecordType.CLAIM, Claim, _subject, _faults)
