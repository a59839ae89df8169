"""The records of PROTOCOL §3: what every record has in common, and the body of each type."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from msgspec import field

from citgit.model.part import Part
from citgit.model.request import Cause as Cause
from citgit.model.request import CauseKind as CauseKind
from citgit.model.request import Config as Config
from citgit.model.request import PinnedSource as PinnedSource
from citgit.model.request import Probed as Probed
from citgit.model.request import Promise as Promise
from citgit.model.request import Request as Request
from citgit.model.result import Artifact as Artifact
from citgit.model.result import Assurance as Assurance
from citgit.model.result import Component as Component
from citgit.model.result import Exit as Exit
from citgit.model.result import FirstError as FirstError
from citgit.model.result import LogSummary as LogSummary
from citgit.model.result import Outcome as Outcome
from citgit.model.result import Result as Result
from citgit.model.result import Tests as Tests
from citgit.model.result import TestTime as TestTime
from citgit.model.result import Usage as Usage

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


class Seen(Part, frozen=True, kw_only=True):
    """The policy tip and the archive tips (by ref) that the writer had seen."""

    policy: str = ""
    archives: dict[str, str] = {}


class Payload(Part, frozen=True, kw_only=True):
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


class Observed(Part, frozen=True, kw_only=True):
    """What a taker saw before it took over: which claim and beat, unchanged for how many ms and polls."""

    claim: str
    beat: str = ""
    unchanged_ms: int = 0
    polls: int = 0


class Decision(Part, frozen=True, kw_only=True):
    """One reason of a placement: what was checked, whether it held, what was found."""

    check: str
    ok: bool
    found: str = ""


class Claim(Part, frozen=True, kw_only=True):
    """Takes a build: `attempt` counts claims, void or not; `attempt_key` may sign for this attempt only."""

    attempt: int
    boot: str = ""
    node: str = ""
    executor: str = ""
    attempt_key: str = ""
    takeover: Observed | None = None
    upstream: dict[str, str] = {}
    why: tuple[Decision, ...] = ()


class Progress(Part, frozen=True, kw_only=True):
    """How far an attempt is: a `phase`, and where its files are."""

    claim: str
    phase: str
    message: str = ""
    where: str = ""


class Lost(Part, frozen=True, kw_only=True):
    """The last allowed attempt vanished."""

    claim: str
    observed: Observed | None = None
    reason: str = ""


class Expired(Part, frozen=True, kw_only=True):
    """The build waited longer than its job's queue limit."""

    reason: str = ""


class Pause(Part, frozen=True, kw_only=True):
    """Holds a waiting build; `at` (unix seconds) lets any agent resume it from then on."""

    at: int | None = None
    reason: str = ""


class Resume(Part, frozen=True, kw_only=True):
    """Lets a paused build wait again."""

    reason: str = ""


class Cancel(Part, frozen=True, kw_only=True):
    """Nobody wants this build any more."""

    reason: str = ""


class Supersede(Part, frozen=True, kw_only=True):
    """A newer build of the same pool, job and branch stands in for this one; its id is greater."""

    successor: str
    reason: str = ""


class Reused(Part, frozen=True, kw_only=True):
    """An equal build's result counts for this one; `final` is the oid of its final record."""

    build: str
    final: str
    key: str = ""


class Skipped(Part, frozen=True, kw_only=True):
    """An upstream build ended so that this one makes no sense; `final` is the oid of its final record."""

    job: str
    build: str
    final: str
    reason: str = ""


class Moved(Part, frozen=True, kw_only=True):
    """The build goes on in another pool, as the one promised successor."""

    promises: tuple[Promise, ...]
    reason: str = ""


class Priority(Part, frozen=True, kw_only=True):
    """Changes the order in the queue: greater comes first."""

    priority: int
    reason: str = ""


class Revoked(Part, frozen=True, kw_only=True):
    """A key that no longer counts, and why."""

    key: str
    why: str = ""


class Policy(Part, frozen=True, kw_only=True):
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


class Advert(Part, frozen=True, kw_only=True):
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


class Beat(Part, frozen=True, kw_only=True):
    """Renews the leases of the claims it lists; `free` slots, `load` and what it is `short` of are for people."""

    renews: tuple[str, ...]
    free: int = 0
    load: str = ""
    disk: int = 0
    short: str = ""


class LockAction(Enum):
    """What a lock record does."""

    TAKE = "take"
    FREE = "free"


class Lock(Part, frozen=True, kw_only=True):
    """Takes or frees a place in a lock for a claim; a place is free once that claim is no longer current."""

    action: LockAction
    build: str
    claim: str
    places: int = 1


class Grant(Part, frozen=True, kw_only=True):
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
