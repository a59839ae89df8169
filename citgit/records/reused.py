"""The `reused` record: an equal build's result counts for this one."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import RecordType, Reused
from citgit.records.spec import Spec, build_fault, oid_fault


def _subject(body: Reused) -> str:
    return f"the result of {body.build}"


def _faults(body: Reused) -> Iterator[str]:
    yield from build_fault("build", body.build)
    yield from oid_fault("final", body.final)


SPEC = Spec(RecordType.REUSED, Reused, _subject, _faults)
