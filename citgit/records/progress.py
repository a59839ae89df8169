"""The `progress` record: says how far an attempt is, and where its files are."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Progress, RecordType
from citgit.records.spec import Spec, line_fault, oid_fault


def _subject(body: Progress) -> str:
    return body.phase


def _faults(body: Progress) -> Iterator[str]:
    yield from oid_fault("claim", body.claim)
    yield from line_fault("phase", body.phase, 100)
    yield from line_fault("message", body.message)


SPEC = Spec(RecordType.PROGRESS, Progress, _subject, _faults)
