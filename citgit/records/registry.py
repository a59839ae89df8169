"""The table of record types: adding a type is a body in `model/record.py`, a file here, a line below."""

from __future__ import annotations

from citgit.records import (
    advert,
    beat,
    cancel,
    claim,
    expired,
    grant,
    lock,
    lost,
    moved,
    pause,
    policy,
    priority,
    progress,
    request,
    result,
    resume,
    reused,
    skipped,
    supersede,
)  # fmt: skip
from citgit.records.spec import Spec

_MODULES = (
    request, claim, progress, result, lost, expired, pause, resume, cancel, supersede, reused, skipped,
    moved, priority, policy, advert, beat, lock, grant,
)  # fmt: skip

SPECS: dict[str, Spec] = {module.SPEC.type.value: module.SPEC for module in _MODULES}
BY_BODY: dict[type, Spec] = {module.SPEC.body: module.SPEC for module in _MODULES}
