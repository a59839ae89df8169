"""The `moved` record: the build goes on in another pool."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Moved, RecordType
from citgit.records.spec import Spec, line_fault, promise_faults


def _subject(body: Moved) -> str:
    return f"to pool {body.promises[0].pool}" if body.promises else "nowhere"


def _faults(body: Moved) -> Iterator[str]:
    yield from line_fault("reason", body.reason)
    yield from promise_faults(body.promises)


SPEC = Spec(RecordType.MOVED, Moved, _subject, _faults)
