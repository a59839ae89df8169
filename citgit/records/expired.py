"""The `expired` record: the build waited longer than it may."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Expired, RecordType
from citgit.records.spec import Spec, line_fault


def _subject(body: Expired) -> str:
    return body.reason or "waited too long"


def _faults(body: Expired) -> Iterator[str]:
    yield from line_fault("reason", body.reason)


SPEC = Spec(RecordType.EXPIRED, Expired, _subject, _faults)
