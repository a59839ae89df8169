"""The `beat` record: renews the leases of the claims it lists."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Beat, RecordType
from citgit.records.spec import Spec, oid_fault


def _subject(body: Beat) -> str:
    return f"{len(body.renews)} running, {body.free} free"


def _faults(body: Beat) -> Iterator[str]:
    for claim in body.renews:
        yield from oid_fault("renews", claim)


SPEC = Spec(RecordType.BEAT, Beat, _subject, _faults)
