"""The body of a result: how an attempt ended, what it used, what it left behind."""

from __future__ import annotations

from enum import Enum

from citgit.model.part import Part
from citgit.model.request import Promise


class Outcome(Enum):
    """How a build ended; failed is the job's fault, errored the system's."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    TIMED_OUT = "timed_out"
    REUSED = "reused"
    SKIPPED = "skipped"
    MOVED = "moved"


class Assurance(Enum):
    """How far a result can be trusted: one uid, a separate signer uid, that and a fresh sandbox."""

    SELF = "self"
    NODE = "node"
    ISOLATED = "isolated"


class Exit(Part, frozen=True, kw_only=True):
    """How the command ended: an exit status, or the name of a signal; neither if it never ran."""

    status: int | None = None
    signal: str = ""


class Usage(Part, frozen=True, kw_only=True):
    """Resources: wall and cpu in ms, peak memory in KiB, io and disk in bytes."""

    wall_ms: int = 0
    cpu_ms: int = 0
    max_rss_kib: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    disk_bytes: int = 0


class Artifact(Part, frozen=True, kw_only=True):
    """A file that the build keeps: path below the workspace, sha256, size in bytes."""

    path: str
    sha256: str
    size: int
    executable: bool = False


class LogSummary(Part, frozen=True, kw_only=True):
    """The logs of an attempt: where they are, their sizes in bytes, whether the limit cut them, the last lines."""

    where: str = ""
    out_bytes: int = 0
    err_bytes: int = 0
    truncated: bool = False
    tail: tuple[str, ...] = ()


class FirstError(Part, frozen=True, kw_only=True):
    """The first failing line and its context, as far as it was recognised."""

    component: str = ""
    file: str = ""
    line: int = 0
    message: str = ""
    context: tuple[str, ...] = ()


class TestTime(Part, frozen=True, kw_only=True):
    """How long one test took, in ms."""

    name: str
    ms: int


class Tests(Part, frozen=True, kw_only=True):
    """Counts of test results, the names of the failed ones, and the few that took longest."""

    total: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()
    slowest: tuple[TestTime, ...] = ()


class Component(Part, frozen=True, kw_only=True):
    """One line of the log tree: path of the component, its outcome, its duration in ms."""

    path: str
    outcome: str = ""
    ms: int = 0


class Result(Part, frozen=True, kw_only=True):
    """What came of an attempt, signed by the holder of `claim`."""

    claim: str
    outcome: Outcome
    reason: str = ""
    exit: Exit = Exit()
    assurance: Assurance = Assurance.SELF
    started: int = 0
    ended: int = 0
    usage: Usage = Usage()
    log: LogSummary = LogSummary()
    first_error: FirstError | None = None
    tests: Tests | None = None
    components: tuple[Component, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    key: str = ""
    environment: dict[str, str] = {}
    private: str = ""
    promises: tuple[Promise, ...] = ()
