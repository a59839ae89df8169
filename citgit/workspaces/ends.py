"""What came of an attempt that has ended: its outcome in words, and whether telling it takes long."""

from __future__ import annotations

from pathlib import Path

import msgspec

from citgit.model.plan import Ended, Plan
from citgit.model.record import Assurance, FirstError, Outcome, Request

_LONG_LOG = 1 << 20


def is_long(request: Request, log: Path, ended: Ended) -> bool:
    """Whether it may take long to tell what came of it: there are files to keep, or a log to look through."""
    keep = request.definition.keep
    return bool(keep.artifacts or keep.junit) or ended.exit.status != 0 or size(log / "out") > _LONG_LOG


def outcome(ended: Ended, plan: Plan) -> tuple[Outcome, str]:
    """What came of it, and why, in words."""
    if ended.limit == "time":
        return Outcome.TIMED_OUT, f"ran longer than {plan.seconds} s"
    if ended.limit == "output":
        return Outcome.FAILED, f"wrote more than {plan.output} bytes of output"
    if ended.error:
        return Outcome.ERRORED, ended.error[:1000]
    if ended.exit.signal:
        return Outcome.FAILED, f"killed by {ended.exit.signal}"
    if ended.exit.status == 0:
        return Outcome.PASSED, ""
    return Outcome.FAILED, f"exit status {ended.exit.status}"


def assurance(plan: Plan, *, isolated: bool) -> Assurance:
    """How far its result can be trusted."""
    separate = Assurance.ISOLATED if isolated else Assurance.NODE
    return separate if plan.builder and not plan.away else Assurance.SELF


def below(error: FirstError | None, workspace: str) -> FirstError | None:
    """The error with files as they are named in the checkout: where that was on this node tells nobody anything."""
    if error is None:
        return None

    def short(text: str) -> str:
        return text.replace(f"{workspace}/", "")

    return msgspec.structs.replace(
        error, file=short(error.file), message=short(error.message), context=tuple(map(short, error.context))
    )


def size(path: Path) -> int:
    """The bytes of a file; 0 if it is not there."""
    return path.stat().st_size if path.exists() else 0
