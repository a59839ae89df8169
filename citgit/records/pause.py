"""The `pause` record: holds a waiting build."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Pause, RecordType
from citgit.records.spec import Spec, line_fault


def _subject(body: Pause) -> str:
    return body.reason or "held"


def _faults(body: Pause) -> Iterator[str]:
    yield from line_fault("reason", body.reason)
    if body.at is not None and not 0 <= body.at < 2**40:
        yield "at: not a time"


SPEC = Spec(RecordType.PAUSE, Pause, _subject, _faults)
