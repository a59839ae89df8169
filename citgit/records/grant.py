"""The `grant` record: adds readers to a build after the fact."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Grant, RecordType
from citgit.records.spec import Spec, line_fault


def _subject(body: Grant) -> str:
    return ", ".join(body.readers)[:100]


def _faults(body: Grant) -> Iterator[str]:
    yield from line_fault("reason", body.reason)
    if not body.readers:
        yield "readers: empty"


SPEC = Spec(RecordType.GRANT, Grant, _subject, _faults)
