"""The `policy` record: who may do what from here on, and a seal over all that came before."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.names import is_name
from citgit.model.record import Payload, Policy, RecordType
from citgit.records.spec import Spec, line_fault


def _subject(body: Policy) -> str:
    return f"version {body.version}" + (" (hold)" if body.hold else "")


def _payloads(body: Policy) -> tuple[Payload, ...]:
    return (*body.files, *body.signatures)


def _faults(body: Policy) -> Iterator[str]:
    if body.version < 1:
        yield "version: below 1"
    yield from line_fault("reason", body.reason)
    for one in body.revoked:
        yield from line_fault("revoked.why", one.why)
        if len(one.key.split(" ")) != 2:
            yield "revoked.key: not 'TYPE BASE64'"
    for signature in body.signatures:
        folder, _, admin = signature.name.partition("/")
        if folder != "signatures" or not is_name(admin):
            yield f"signatures: not signatures/NAME: {signature.name[:60]!a}"
    names = [payload.name for payload in _payloads(body)]
    if len(set(names)) != len(names) or not {"policy.json", "seal.json"} <= set(names):
        yield "files: need policy.json and seal.json, each name once"


SPEC = Spec(RecordType.POLICY, Policy, _subject, _faults, _payloads)
