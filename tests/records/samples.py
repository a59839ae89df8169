"""One body of every record type, as golden files and round trips need them."""

from __future__ import annotations

from citgit.model.job import Job
from citgit.model.record import (
    Advert,
    Artifact,
    Beat,
    Body,
    Cancel,
    Cause,
    CauseKind,
    Claim,
    Config,
    Decision,
    Exit,
    Expired,
    Grant,
    Lock,
    LockAction,
    Lost,
    Moved,
    Observed,
    Outcome,
    Pause,
    Payload,
    PinnedSource,
    Policy,
    Priority,
    Progress,
    Promise,
    Request,
    Result,
    Resume,
    Reused,
    Skipped,
    Supersede,
    Usage,
)  # fmt: skip

BUILD = "01890000-0000-7000-8000-000000000001"
LATER = "01890000-0000-7000-8000-000000000002"
CLAIM = "c" * 40
FINAL = "f" * 40

REQUEST = Request(
    job="check",
    branch="main",
    config=Config(branch="main", commit="a" * 40),
    definition=Job(command=("make", "check")),
    sources=(PinnedSource(ref="main", commit="a" * 40),),
    cause=Cause(message="gr\u00fc\u00dfe"),
)

_PROMISE = Promise(
    id="01890000-0000-8000-8000-000000000003",
    pool="other",
    request=Request(
        job="check", branch="main", config=REQUEST.config, definition=REQUEST.definition, sources=REQUEST.sources,
        cause=Cause(kind=CauseKind.PROMISE, build=BUILD),
    ),
)  # fmt: skip

BODIES: dict[str, Body] = {
    "request": REQUEST,
    "claim": Claim(attempt=2, node="lab1", takeover=Observed(claim=CLAIM), why=(Decision(check="os", ok=True),)),
    "progress": Progress(claim=CLAIM, phase="building"),
    "result": Result(
        claim=CLAIM, outcome=Outcome.FAILED, reason="1 test failed", exit=Exit(status=2), usage=Usage(wall_ms=12),
        artifacts=(Artifact(path="a.out", sha256="0" * 64, size=3, executable=True),),
    ),
    "lost": Lost(claim=CLAIM),
    "expired": Expired(reason="queued for a day"),
    "pause": Pause(at=1_700_000_000),
    "resume": Resume(),
    "cancel": Cancel(reason="wrong branch"),
    "supersede": Supersede(successor=LATER),
    "reused": Reused(build=LATER, final=FINAL),
    "skipped": Skipped(job="toolchain", build=LATER, final=FINAL),
    "moved": Moved(promises=(_PROMISE,)),
    "priority": Priority(priority=-3),
    "policy": Policy(
        version=1,
        files=(
            Payload(name="policy.json", sha256="1" * 64, size=2),
            Payload(name="seal.json", sha256="2" * 64, size=2),
        ),
    ),
    "advert": Advert(boot="b1", version="0.1", host="lab1", tools={"make": "4.3"}, executors={"process": ""}),
    "beat": Beat(renews=(CLAIM,), free=1),
    "lock": Lock(action=LockAction.TAKE, build=BUILD, claim=CLAIM),
    "grant": Grant(readers=("ben",)),
}  # fmt: skip
