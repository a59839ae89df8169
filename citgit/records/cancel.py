"""The `cancel` record: nobody wants the build any more."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Cancel, RecordType
from citgit.records.spec import Spec, line_fault


def _subject(body: Cancel) -> str:
    return body.reason or "not wanted any more"


def _faults(body: Cancel) -> Iterator[str]:
    yield from line_fault("reason", body.reason)


SPEC = Spec(RecordType.CANCEL, Cancel, _subject, _faults)
