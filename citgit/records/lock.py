"""The `lock` record: takes or frees a place in a lock."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Lock, RecordType
from citgit.records.spec import Spec, build_fault, oid_fault


def _subject(body: Lock) -> str:
    return f"{body.action.value} for {body.build}"


def _faults(body: Lock) -> Iterator[str]:
    yield from build_fault("build", body.build)
    yield from oid_fault("claim", body.claim)


SPEC = Spec(RecordType.LOCK, Lock, _subject, _faults)
