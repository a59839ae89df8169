"""What flows need from the world, as Protocols; adapters implement them, `wiring` chooses, tests fake them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from citgit.model.job import CitToml, ResolvedJob, Value
from citgit.model.log import LogIndex, LogNode
from citgit.model.plan import Ended, Input, Machine, Plan, Probe, Room
from citgit.model.record import Advert, Claim, Decision, Request, Result

Oid = str
"""A SHA-1 object name, 40 lower-case hex digits."""

EMPTY_TREE: Oid = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


class Clock(Protocol):
    """Time. Nothing is judged by `now`; leases are timed by the other two."""

    def now(self) -> int:
        """Unix seconds, shown to people."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps: what an observer times with."""

    def boottime(self) -> float:
        """Seconds that count while the machine sleeps too: what a holder times its own lease with."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class Entropy(Protocol):
    """Randomness."""

    def nonce(self) -> str:
        """128 random bits as 32 hex digits."""

    def build_id(self) -> str:
        """A new UUIDv7."""

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`, for jitter."""


class Signer(Protocol):
    """A signing key and the name it speaks for."""

    @property
    def public_key(self) -> str:
        """ "ssh-ed25519 AAAA…", without a comment."""

    def sign(self, payload: bytes) -> str:
        """The armored SSHSIG over `payload` in the namespace `git`. Raises BadSignature if the key cannot sign."""


class AttemptKeys(Protocol):
    """Keys that sign the records of one attempt each, made and kept on the node."""

    def make(self) -> str:
        """A new one, for a claim to name; its public half. Raises BadSignature."""

    def signer(self, public_key: str) -> Signer | None:
        """Who signs with that key; None if it is not here."""


class Verifier(Protocol):
    """Checks SSHSIGs."""

    def signer(self, payload: bytes, signature: str) -> str:
        """The public key that made `signature` over `payload` in the namespace `git`. Raises BadSignature."""


class Vault(Protocol):
    """Hides texts for the holders of some keys, and opens those that are for us."""

    def seal(self, plain: bytes, keys: Sequence[str]) -> str:
        """`plain` for whoever holds one of the public `keys`. Raises Unsupported, UsageError."""

    def ready(self) -> None:
        """Raises Unsupported if nothing can be hidden here."""

    def open(self, sealed: str) -> bytes | None:
        """The plain text; None if no key here opens it. Raises Unsupported."""


class Entry(Struct, frozen=True):
    """An entry of a tree: mode 0o100644, 0o100755, 0o120000, 0o040000 or 0o160000."""

    name: str
    mode: int
    oid: Oid


class Objects(Protocol):
    """A local object store: what has been fetched, and what waits to be pushed."""

    def read(self, oid: Oid, *, limit: int = 1 << 24) -> tuple[str, bytes]:
        """Type ("commit", "tree", "blob") and bytes. Raises NotFound; Refused if larger than `limit` bytes."""

    def has(self, oid: Oid) -> bool:
        """Whether the object is here."""

    def write(self, kind: str, data: bytes) -> Oid:
        """Stores an object and returns its name."""

    def group(self) -> AbstractContextManager[None]:
        """What is written inside is durable only when this ends: together, which is cheaper. Raises NodeFull."""

    def tree(self, oid: Oid) -> list[Entry]:
        """The entries of a tree. Raises NotFound."""

    def write_tree(self, entries: Iterable[Entry]) -> Oid:
        """Stores a tree (entries in any order) and returns its name."""


class Answer(Enum):
    """What is known of one pushed ref.

    UNKNOWN: it may have happened, may happen later, or never. STALE: the lease did not hold.
    DENIED: the host refuses this for good (hook, permission, namespace).
    """

    DONE = "done"
    STALE = "stale"
    DENIED = "denied"
    UNKNOWN = "unknown"


class Update(Struct, frozen=True):
    """One compare-and-swap: `old` None means the ref must not exist; `new` None deletes it."""

    ref: str
    old: Oid | None
    new: Oid | None


class Pushed(Struct, frozen=True):
    """The answer to one update, with the host's words."""

    update: Update
    answer: Answer
    message: str = ""


class Remote(Protocol):
    """A state repository, seen from one client. Each ref is compared and swapped on its own."""

    @property
    def url(self) -> str:
        """Where it is, for messages."""

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """The refs whose names start with one of `prefixes` (each ends in "/", or is a full ref name).

        Their objects are in the local store afterwards. Refs outside the grammar are in the answer too.
        Raises RemoteAway if the host did not answer, Refused if it does not let us read.
        """

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Tries each update, independently of the others; one answer each, in order. Never raises RemoteAway."""


class Waker(Protocol):
    """A hint that the state repository may have changed; polling finds out the same, only later."""

    def fileno(self) -> int:
        """A descriptor that becomes readable then; -1 while there is none."""

    def drain(self) -> bool:
        """Whether something may have changed since this was last asked. Never waits."""


class Hosted(Protocol):
    """The refs of a state repository as its host itself sees them at this moment."""

    def tip(self, ref: str) -> Oid | None:
        """Where the ref is; None if it does not exist."""

    def under(self, prefix: str) -> dict[str, Oid]:
        """All refs whose names start with `prefix`."""


class Tips(Protocol):
    """What this client remembers of the refs it saw: survives restarts and an emptied host."""

    def load(self) -> dict[str, Oid]:
        """All remembered tips by ref."""

    def save(self, changes: Mapping[str, Oid | None]) -> None:
        """Remembers tips; None forgets one."""


class Entrusted(Struct, frozen=True):
    """A journalled push: what was about to be sent. `settled` ones are removed."""

    ref: str
    old: Oid | None
    new: Oid
    commits: tuple[bytes, ...]
    kind: str


class Journal(Protocol):
    """Every push is written here, durably, before it is sent (PROTOCOL §4)."""

    def add(self, *entries: Entrusted) -> None:
        """Durable when it returns, all of them at the cost of one. Raises NodeFull if it cannot be written."""

    def entries(self) -> list[Entrusted]:
        """What was added and not yet settled, oldest first."""

    def settle(self, *news: Oid) -> None:
        """Forgets the entries whose new tips these are: their end is known."""

    def claims(self) -> set[Oid]:
        """The oids of all claims that this worker ever sent and that are still of interest."""


class Revision(Struct, frozen=True):
    """A commit of a source repository and its committer date in ms since the epoch."""

    commit: Oid
    time: int


class Sources(Protocol):
    """The node's mirrors of source repositories; reading config from them, checking out of them."""

    def heads(self, url: str) -> dict[str, Oid]:
        """The branches of the repository, by short name, fetched now. Raises RemoteAway, Refused."""

    def fetch(self, url: str, commit: Oid, ref: str = "") -> Revision:
        """Makes the commit available locally. Raises NotYet if the host does not have it, RemoteAway, Refused."""

    def on_branch(self, url: str, branch: str, commit: Oid) -> bool:
        """Whether a fetched commit is part of the branch as the host has it now. Raises RemoteAway, Refused."""

    def files(self, url: str, commit: Oid, paths: Sequence[str]) -> dict[str, bytes]:
        """The contents of those `paths` that exist in the fetched commit (a path ending in "/" = *.toml in it)."""

    def changed(self, url: str, old: Oid | None, new: Oid) -> list[str] | None:
        """The paths that differ between two fetched commits; None if that cannot be told."""

    def checkout(self, url: str, commit: Oid, target: Path, *, submodules: bool) -> list[Path]:
        """A fresh checkout at `target`; the paths it needs read access to besides. Raises NotYet, Refused."""

    def is_light(self, url: str, commit: Oid) -> bool:
        """Whether a checkout of the commit, without its submodules, takes a moment only; False if it is not here."""

    def tree(self, url: str, commit: Oid) -> Oid:
        """The tree of a fetched commit: what decides whether two revisions are the same."""


class Configs(Protocol):
    """Reads the jobs of a commit and resolves one of them."""

    def read(self, files: Mapping[str, bytes]) -> CitToml:
        """The jobs. Raises BadConfig, NotFound."""

    def resolve(self, config: CitToml, job: str, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
        """One resolved job per cell of its matrix. Raises NotFound, UsageError."""

    def selected(self, config: CitToml, branch: str, changed: Sequence[str] | None) -> list[str]:
        """The jobs that a push to the branch starts."""


class Workshop(Protocol):
    """A node's place for attempts: workspaces, executors, logs, artifacts. Survives the worker."""

    def advert(self, boot: str, slots: int, labels: Sequence[str], tools: Sequence[str] | None = None) -> Advert:
        """What this node offers, found out now; `tools` are those to look for, None: all that are known."""

    def start(
        self, build: str, claim: Oid, request: Request, claimed: Claim, *, own: bool,
        inputs: Callable[[], Sequence[Input]] = tuple,
    ) -> str:  # fmt: skip
        """Checks out and starts the command, once; where its files are. Raises Errored, NotYet, Refused, RemoteAway.

        `inputs` come into the workspace before the command starts; an error of theirs is the attempt's end.
        A restarted worker calls it again for what it adopts: what an earlier one did is not done twice.
        """

    def has(self, inputs: Sequence[Input]) -> bool:
        """Whether this node has these files of upstream builds."""

    def can_build(self, request: Request, *, own: bool) -> list[Decision]:
        """What the job's own program says of this node; nothing if it has none. A moment old at most."""

    def short(self) -> str:
        """Why nothing new may start here for want of disk, "" if it may; asked before every turn."""

    def poll(self, claim: Oid) -> Result | None:
        """None while the attempt runs, or before `start`; what came of it once it has ended."""

    def stop(self, claim: Oid, why: str) -> None:
        """Makes an attempt end; `poll` tells when it has."""

    def descriptors(self) -> Sequence[int]:
        """Descriptors that are readable once an attempt may have ended; for waking early, `poll` tells."""

    def running(self) -> dict[Oid, str]:
        """The attempts whose results are not published: claim to build id; found on disk after a restart."""

    def finish(self, claim: Oid) -> None:
        """The result is published (or nobody wants it): nothing of the attempt runs any more, its files stay."""


class Rooms(Protocol):
    """Other users who run builds: of this node, so that no build shares a uid with the key that signs, or elsewhere."""

    def room(self, claim: Oid, name: str) -> Room:
        """Where the attempt, whose workspace has that name, may run; kept for it from now on. Raises Errored."""

    def machine(self, tools: Iterable[str] | None) -> Machine | None:
        """The machine that they are on, with those of the `tools` (None: all known ones) it has; None if it is this."""


class Executor(Protocol):
    """How a command runs. All state is in `plan.directory`, so that a restarted worker adopts what runs."""

    @property
    def name(self) -> str:
        """As in `place.executor`."""

    def probe(self) -> Probe:
        """Whether it works on this node."""

    def start(self, plan: Plan) -> None:
        """Starts the command and returns at once. Raises Errored if it cannot be started."""

    def poll(self, plan: Plan) -> Ended | None:
        """None while it runs; also captures times and enforces limits, so call it often while it runs."""

    def stop(self, plan: Plan, why: str) -> None:
        """Asks the command and all its descendants to end, then makes them; `poll` tells when they have."""

    def descriptors(self) -> Sequence[int]:
        """Descriptors that are readable once an attempt may have ended; for waking early, `poll` tells."""

    def clean(self, plan: Plan) -> None:
        """Leaves no process behind; the attempt's files stay."""


class Trigger(Protocol):
    """Something that notices that a build is due."""

    @property
    def name(self) -> str:
        """As in [trigger.NAME] of team.toml."""

    def due(self) -> list[tuple[str, Oid | None, Oid]]:
        """(branch, old, new) of what changed since it was last asked."""


class Store(Protocol):
    """A binary repository: content-addressed, never overwritten."""

    def put(self, path: Path) -> str:
        """Keeps the file; returns its sha256."""

    def get(self, sha256: str, target: Path) -> None:
        """Writes the content to `target`, checked against the digest. Raises NotFound, Refused."""

    def has(self, sha256: str) -> bool:
        """Whether the content is there."""


class LogSource(Protocol):
    """The log of one attempt, wherever it is: on this machine, or on a node that is asked piece by piece."""

    def nodes(self) -> list[LogNode]:
        """The root and all components below it, each before its parts, oldest first. Raises NotFound."""

    def look(self, path: str) -> LogNode:
        """One component as it is now: whether it has ended, how long its streams are. Raises NotFound."""

    def read(self, path: str, name: str, at: int, count: int) -> bytes:
        """Up to `count` bytes from byte `at` of a component's `out`, `err` or `times`; empty at the end.

        Bytes as they were written, packed or not. Raises NotFound.
        """

    def index(self, path: str) -> LogIndex | None:
        """What is known of a finished component besides; None if nothing is."""
