"""The `skipped` record: an upstream build ended so that this one makes no sense."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import RecordType, Skipped
from citgit.records.spec import Spec, build_fault, line_fault, oid_fault


def _subject(body: Skipped) -> str:
    return f"{body.job} did not pass"


def _faults(body: Skipped) -> Iterator[str]:
    yield from build_fault("build", body.build)
    yield from oid_fault("final", body.final)
    yield from line_fault("reason", body.reason)


SPEC = Spec(RecordType.SKIPPED, Skipped, _subject, _faults)
