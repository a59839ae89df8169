"""The `result` record: what came of an attempt."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.record import Outcome, RecordType, Result
from citgit.records.spec import Spec, line_fault, oid_fault, promise_faults

_POSSIBLE = {
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.ERRORED,
    Outcome.CANCELLED,
    Outcome.SUPERSEDED,
    Outcome.TIMED_OUT,
}


def _subject(body: Result) -> str:
    return body.outcome.value + (f": {body.reason.splitlines()[0][:100]}" if body.reason.strip() else "")


def _faults(body: Result) -> Iterator[str]:
    yield from oid_fault("claim", body.claim)
    if body.outcome not in _POSSIBLE:
        yield f"outcome: a result cannot be {body.outcome.value!r}"
    yield from line_fault("reason", body.reason)
    yield from promise_faults(body.promises)


SPEC = Spec(RecordType.RESULT, Result, _subject, _faults)
