"""The `priority` record: changes a build's place in the queue."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Priority, RecordType
from citgit.records.spec import Spec, line_fault


def _subject(body: Priority) -> str:
    return str(body.priority)


def _faults(body: Priority) -> Iterator[str]:
    yield from line_fault("reason", body.reason)
    if not -1000 <= body.priority <= 1000:
        yield "priority: not in -1000..1000"


SPEC = Spec(RecordType.PRIORITY, Priority, _subject, _faults)
