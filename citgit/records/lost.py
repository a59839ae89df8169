"""The `lost` record: the last allowed attempt vanished."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Lost, RecordType
from citgit.records.spec import Spec, line_fault, oid_fault


def _subject(body: Lost) -> str:
    return body.reason or "the last attempt vanished"


def _faults(body: Lost) -> Iterator[str]:
    yield from oid_fault("claim", body.claim)
    yield from line_fault("reason", body.reason)


SPEC = Spec(RecordType.LOST, Lost, _subject, _faults)
