"""The `resume` record: lets a paused build wait again."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import RecordType, Resume
from citgit.records.spec import Spec, line_fault


def _subject(body: Resume) -> str:
    return body.reason or "go on"


def _faults(body: Resume) -> Iterator[str]:
    yield from line_fault("reason", body.reason)


SPEC = Spec(RecordType.RESUME, Resume, _subject, _faults)
