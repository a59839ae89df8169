"""The `request` record: asks for one build of a job at pinned revisions."""

from __future__ import annotations

from citgit.model.record import RecordType, Request
from citgit.records.spec import Spec, request_faults


def _subject(body: Request) -> str:
    return f"{body.job} on {body.branch}{body.at(12)}"


SPEC = Spec(RecordType.REQUEST, Request, _subject, request_faults)
