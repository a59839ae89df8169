"""The records of PROTOCOL §3: what every record has in common, and the body of each type."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from msgspec import field

from citgit.model.job import Job, Value

FORMAT = 1
"""The newest record format that this version reads and writes."""


class RecordType(Enum):
    """Every type of record. The first fourteen make up the life of a build."""

    REQUEST = "request"
    CLAIM = "claim"
    PROGRESS = "progress"
    RESULT = "result"
    LOST = "lost"
    EXPIRED = "expired"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    SUPERSEDE = "supersede"
    REUSED = "reused"
    SKIPPED = "skipped"
    MOVED = "moved"
    PRIORITY = "priority"
    POLICY = "policy"
    ADVERT = "advert"
    BEAT = "beat"
    LOCK = "lock"
    GRANT = "grant"


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


class CauseKind(Enum):
    """What asked for a build."""

    PERSON = "person"
    TRIGGER = "trigger"
    PROMISE = "promise"


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a body: immutable, defaults left out of the bytes."""


class Seen(_Part, frozen=True, kw_only=True):
    """The policy tip and the archive tips (by ref) that the writer had seen."""

    policy: str = ""
    archives: dict[str, str] = {}


class Payload(_Part, frozen=True, kw_only=True):
    """A file in the record's tree: its name, sha256 of its bytes, size in bytes."""

    name: str
    sha256: str
    size: int


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The common fields. `prev` and `prev_sha256` are null in a root; `repo` is empty in the root policy."""

    type: str
    format: int = FORMAT
    repo: str
    ref: str
    build: str = ""
    seq: int
    prev: str | None
    prev_sha256: str | None
    nonce: str
    policy: str
    seen: Seen = Seen()
    actor: str
    time: int


class Config(_Part, frozen=True, kw_only=True):
    """Where a job's definition was read: `repo` is "self" or a URL; `commit` pins it; `branch` is judged."""

    repo: str = "self"
    branch: str
    commit: str
    path: str = "cit.toml"


class PinnedSource(_Part, frozen=True, kw_only=True):
    """A source at a commit, checked out `at` a path below the workspace; `url` is empty for "self"."""

    repo: str = "self"
    url: str = ""
    ref: str
    commit: str
    at: str = "."


class Cause(_Part, frozen=True, kw_only=True):
    """Why a build was asked for.

    A trigger's: its `principal`, `time` (ms, of the id), `tick` (cron), `generation` and the full `digest`;
    `pushed_by` is advisory. A promise's: the promising build, its record's oid and the index.
    """

    kind: CauseKind = CauseKind.PERSON
    principal: str = ""
    time: int = 0
    tick: int = 0
    generation: int = 0
    digest: str = ""
    pushed_by: str = ""
    build: str = ""
    index: int = 0
    message: str = ""


class Request(_Part, frozen=True, kw_only=True):
    """Asks for one build: the resolved job at pinned revisions; `upstream` maps an after-job to its build id."""

    job: str
    branch: str
    config: Config
    definition: Job
    sources: tuple[PinnedSource, ...]
    cause: Cause
    max_attempts: int = 1
    cell: dict[str, str] = {}
    parameters: dict[str, Value] = {}
    upstream: dict[str, str] = {}
    on: str = ""
    priority: int = 0
    readers: tuple[str, ...] = ()
    retry_of: str = ""
    private: str = ""
    promises: tuple[Promise, ...] = ()


class Promise(_Part, frozen=True, kw_only=True):
    """A full request that the promising record lets anyone create at `builds/<pool>/<id>`."""

    id: str
    pool: str
    request: Request


class Observed(_Part, frozen=True, kw_only=True):
    """What a taker saw before it took over: which claim and beat, unchanged for how many ms and polls."""

    claim: str
    beat: str = ""
    unchanged_ms: int = 0
    polls: int = 0


class Decision(_Part, frozen=True, kw_only=True):
    """One reason of a placement: what was checked, whether it held, what was found."""

    check: str
    ok: bool
    found: str = ""


class Claim(_Part, frozen=True, kw_only=True):
    """Takes a build: `attempt` counts claims, void or not; `attempt_key` may sign for this attempt only."""

    attempt: int
    boot: str = ""
    node: str = ""
    executor: str = ""
    attempt_key: str = ""
    takeover: Observed | None = None
    upstream: dict[str, str] = {}
    why: tuple[Decision, ...] = ()


class Progress(_Part, frozen=True, kw_only=True):
    """How far an attempt is: a `phase`, and where its files are."""

    claim: str
    phase: str
    message: str = ""
    where: str = ""


class Exit(_Part, frozen=True, kw_only=True):
    """How the command ended: an exit status, or the name of a signal; neither if it never ran."""

    status: int | None = None
    signal: str = ""


class Usage(_Part, frozen=True, kw_only=True):
    """Resources: wall and cpu in ms, peak memory in KiB, io and disk in bytes."""

    wall_ms: int = 0
    cpu_ms: int = 0
    max_rss_kib: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    disk_bytes: int = 0


class Artifact(_Part, frozen=True, kw_only=True):
    """A file that the build keeps: path below the workspace, sha256, size in bytes."""

    path: str
    sha256: str
    size: int
    executable: bool = False


class LogSummary(_Part, frozen=True, kw_only=True):
    """The logs of an attempt: where they are, their sizes in bytes, whether the limit cut them, the last lines."""

    where: str = ""
    out_bytes: int = 0
    err_bytes: int = 0
    truncated: bool = False
    tail: tuple[str, ...] = ()


class FirstError(_Part, frozen=True, kw_only=True):
    """The first failing line and its context, as far as it was recognised."""

    component: str = ""
    file: str = ""
    line: int = 0
    message: str = ""
    context: tuple[str, ...] = ()


class Tests(_Part, frozen=True, kw_only=True):
    """Counts of test results, and the names of the failed ones."""

    total: int = 0
    failed: int = 0
    skipped: int = 0
    failures: tuple[str, ...] = ()


class Component(_Part, frozen=True, kw_only=True):
    """One line of the log tree: path of the component, its outcome, its duration in ms."""

    path: str
    outcome: str = ""
    ms: int = 0


class Result(_Part, frozen=True, kw_only=True):
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


class Lost(_Part, frozen=True, kw_only=True):
    """The last allowed attempt vanished."""

    claim: str
    observed: Observed | None = None
    reason: str = ""


class Expired(_Part, frozen=True, kw_only=True):
    """The build waited longer than its job's queue limit."""

    reason: str = ""


class Pause(_Part, frozen=True, kw_only=True):
    """Holds a waiting build; `at` (unix seconds) lets any agent resume it from then on."""

    at: int | None = None
    reason: str = ""


class Resume(_Part, frozen=True, kw_only=True):
    """Lets a paused build wait again."""

    reason: str = ""


class Cancel(_Part, frozen=True, kw_only=True):
    """Nobody wants this build any more."""

    reason: str = ""


class Supersede(_Part, frozen=True, kw_only=True):
    """A newer build of the same pool, job and branch stands in for this one; its id is greater."""

    successor: str
    reason: str = ""


class Reused(_Part, frozen=True, kw_only=True):
    """An equal build's result counts for this one; `final` is the oid of its final record."""

    build: str
    final: str
    key: str = ""


class Skipped(_Part, frozen=True, kw_only=True):
    """An upstream build ended so that this one makes no sense; `final` is the oid of its final record."""

    job: str
    build: str
    final: str
    reason: str = ""


class Moved(_Part, frozen=True, kw_only=True):
    """The build goes on in another pool, as the one promised successor."""

    promises: tuple[Promise, ...]
    reason: str = ""


class Priority(_Part, frozen=True, kw_only=True):
    """Changes the order in the queue: greater comes first."""

    priority: int
    reason: str = ""


class Revoked(_Part, frozen=True, kw_only=True):
    """A key that no longer counts, and why."""

    key: str
    why: str = ""


class Policy(_Part, frozen=True, kw_only=True):
    """The next policy: `files` are policy.json and the seal; `signatures` the other admins' SSHSIGs.

    `hold` stops all claims (after a restore); `generation` rises with each restore.
    """

    version: int
    files: tuple[Payload, ...]
    generation: int = 0
    hold: bool = False
    reason: str = ""
    signatures: tuple[Payload, ...] = ()
    revoked: tuple[Revoked, ...] = ()


class Advert(_Part, frozen=True, kw_only=True):
    """What an agent's worker offers; the root of its boot's ref, repeated when something changes.

    `memory` and `disk` in bytes; `tools` by name with their version; `executors` by name with "" for usable
    or the reason why not; `previous` is the tip of the boot before.
    """

    boot: str
    version: str
    host: str = ""
    os: str = ""
    arch: str = ""
    cpu: int = 0
    memory: int = 0
    disk: int = 0
    slots: int = 1
    labels: tuple[str, ...] = ()
    tools: dict[str, str] = {}
    executors: dict[str, str] = {}
    previous: str = ""
    renews: tuple[str, ...] = ()


class Beat(_Part, frozen=True, kw_only=True):
    """Renews the leases of the claims it lists; `free` slots and `load` are for people and placement."""

    renews: tuple[str, ...]
    free: int = 0
    load: str = ""
    disk: int = 0


class LockAction(Enum):
    """What a lock record does."""

    TAKE = "take"
    FREE = "free"


class Lock(_Part, frozen=True, kw_only=True):
    """Takes or frees a place in a lock for a claim; a place is free once that claim is no longer current."""

    action: LockAction
    build: str
    claim: str
    places: int = 1


class Grant(_Part, frozen=True, kw_only=True):
    """Adds readers to a build after the fact."""

    readers: tuple[str, ...]
    reason: str = ""
    private: str = ""


Body = (
    Request | Claim | Progress | Result | Lost | Expired | Pause | Resume | Cancel | Supersede | Reused
    | Skipped | Moved | Priority | Policy | Advert | Beat | Lock | Grant
)  # fmt: skip


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record: its common fields, its typed body, and the whole document as it stands in the bytes."""

    head: Head
    body: Body
    document: dict[str, Any] = field(default_factory=dict)
