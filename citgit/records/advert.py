"""The `advert` record: what an agent's worker offers."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Advert, RecordType
from citgit.records.spec import Spec, name_fault, oid_fault


def _subject(body: Advert) -> str:
    return f"{body.boot} on {body.host}, {body.slots} slots"


def _faults(body: Advert) -> Iterator[str]:
    yield from name_fault("boot", body.boot)
    if body.previous:
        yield from oid_fault("previous", body.previous)
    for claim in body.renews:
        yield from oid_fault("renews", claim)


SPEC = Spec(RecordType.ADVERT, Advert, _subject, _faults)
