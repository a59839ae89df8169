"""The `supersede` record: a newer build stands in for this one."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import RecordType, Supersede
from citgit.records.spec import Spec, build_fault, line_fault


def _subject(body: Supersede) -> str:
    return f"by {body.successor}"


def _faults(body: Supersede) -> Iterator[str]:
    yield from build_fault("successor", body.successor)
    yield from line_fault("reason", body.reason)


SPEC = Spec(RecordType.SUPERSEDE, Supersede, _subject, _faults)
