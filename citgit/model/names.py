"""Names and refs: the grammar of every name, and the only place that knows the layout of refs/cit/."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from citgit.errors import BadName
from citgit.model.pattern import pattern

DEFAULT_ROOT = "refs/cit/"
SEEN = "refs/cit-seen/"
"""Local refs, never pushed: `new/` is the staging of a fetch, `tip/` the tips this clone remembers,
`out/` the records that still wait to be pushed, `heads/` the branches a poller has seen."""

HERE = "here"
"""The pool of builds that a person runs on their own machine (`cit run --here`)."""

_NAME = pattern(r"[a-z0-9][a-z0-9._-]{0,62}")
_MONTH = pattern(r"[0-9]{4}-(0[1-9]|1[0-2])")
_UUID = pattern(r"[0-9a-f]{8}-[0-9a-f]{4}-[78][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_OID = pattern(r"[0-9a-f]{40}")

_LONGEST_PATH = 4096
_LONGEST_PART = 255

# Git's own files, as disks that fold case or shorten names spell them too.
_RESERVED = frozenset({".git", "git~1"})


def is_name(text: str) -> bool:
    """Whether `text` is one path component of PROTOCOL §1 that git accepts in a ref too."""
    return _NAME.fullmatch(text) is not None and not text.endswith((".lock", ".")) and ".." not in text


def name(kind: str, text: str) -> str:
    """`text`, if it is a name.

    Raises:
        BadName: it is not; `kind` (pool, agent, job …) goes into the message.
    """
    if not is_name(text):
        raise BadName(
            f"not a name for {'an' if kind[0] in 'aeiou' else 'a'} {kind}: {text[:80]!a}",
            hint="use lower case letters, digits, '.', '_' and '-', at most 63, not ending in '.lock'",
        )
    return text


def is_oid(text: str) -> bool:
    """Whether `text` is a full SHA-1 object name."""
    return _OID.fullmatch(text) is not None


def is_build_id(text: str) -> bool:
    """Whether `text` is a UUID of version 7 or 8 in its canonical lower-case form."""
    return _UUID.fullmatch(text) is not None


def plain_parts(path: str) -> list[str]:
    """The names in a relative path that may be written to; none if it is no plain one, or leads to git's own files."""
    parts = path.split("/")
    fits = path.isprintable() and len(path) <= _LONGEST_PATH and all(is_plain_name(part) for part in parts)
    return parts if fits else []


def is_plain_name(part: str) -> bool:
    """Whether it is one name of a file or a folder, and none with a meaning of its own."""
    try:
        length = len(part.encode())
    except UnicodeEncodeError:
        return False
    folded = part.casefold().rstrip(". ")
    return 0 < length <= _LONGEST_PART and "/" not in part and "\0" not in part and folded not in _RESERVED | {""}


def is_month(text: str) -> bool:
    """Whether `text` is yyyy-mm."""
    return _MONTH.fullmatch(text) is not None


class Kind(Enum):
    """What a ref under the root holds."""

    POLICY = "policy"
    BUILD = "builds"
    AGENT = "agents"
    ARCHIVE = "archive"
    LOCK = "locks"
    GRANT = "grants"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Place:
    """A parsed ref: `group` is the pool, agent or person (empty if the kind has none), `leaf` the last part."""

    kind: Kind
    group: str
    leaf: str


# What the two variable parts of each kind must look like; None means that the part does not exist.
_SHAPE: dict[Kind, tuple[Callable[[str], bool] | None, Callable[[str], bool] | None]] = {
    Kind.POLICY: (None, None),
    Kind.BUILD: (is_name, is_build_id),
    Kind.AGENT: (is_name, is_name),
    Kind.ARCHIVE: (is_name, is_month),
    Kind.LOCK: (None, is_name),
    Kind.GRANT: (None, is_build_id),
    Kind.REPLAY: (is_name, is_build_id),
}


@dataclass(frozen=True, slots=True)
class Refs:
    """The ref names of one state repository; `root` ends in a slash."""

    root: str = DEFAULT_ROOT

    @property
    def policy(self) -> str:
        """The chain of policies."""
        return f"{self.root}policy"

    def build(self, pool: str, build: str) -> str:
        """The ref of an active build."""
        return _build(self.root, pool, build)

    def builds(self, pool: str = "") -> str:
        """The prefix of all active builds, or of one pool's."""
        return f"{self.root}builds/" + (f"{name('pool', pool)}/" if pool else "")

    def agent(self, agent: str, boot: str) -> str:
        """The ref of one boot of an agent's worker."""
        return f"{self.root}agents/{name('agent', agent)}/{name('boot', boot)}"

    def agents(self, agent: str = "") -> str:
        """The prefix of all agents' refs, or of one agent's."""
        return f"{self.root}agents/" + (f"{name('agent', agent)}/" if agent else "")

    def archive(self, pool: str, month: str) -> str:
        """The archive of a pool's builds of one month (yyyy-mm)."""
        return _archive(self.root, pool, month)

    def archives(self, pool: str = "") -> str:
        """The prefix of all archives, or of one pool's."""
        return f"{self.root}archive/" + (f"{name('pool', pool)}/" if pool else "")

    def lock(self, lock: str) -> str:
        """The chain of a lock, barrier or concurrency group."""
        return f"{self.root}locks/{name('lock', lock)}"

    def grant(self, build: str) -> str:
        """Readers added to a build after the fact."""
        if not is_build_id(build):
            raise BadName(f"not a build id: {build[:80]!a}")
        return f"{self.root}grants/{build}"

    def is_build(self, ref: str) -> bool:
        """Whether `ref` is that of an active build."""
        place = self.parse(ref)
        return place is not None and place.kind is Kind.BUILD

    def parse(self, ref: str) -> Place | None:
        """What `ref` holds; None for anything that this protocol does not define."""
        return _place(self.root, ref)


# cached: one turn of a worker asks for each ref many times, and what a name says never changes
@lru_cache(maxsize=1 << 14)
def _build(root: str, pool: str, build: str) -> str:
    if not is_build_id(build):
        raise BadName(f"not a build id: {build[:80]!a}")
    return f"{root}builds/{name('pool', pool)}/{build}"


@lru_cache(maxsize=1 << 10)
def _archive(root: str, pool: str, month: str) -> str:
    if not is_month(month):
        raise BadName(f"not a month: {month[:80]!a}")
    return f"{root}archive/{name('pool', pool)}/{month}"


@lru_cache(maxsize=1 << 14)
def _place(root: str, ref: str) -> Place | None:
    if not ref.startswith(root):
        return None
    head, *rest = ref[len(root) :].split("/")
    try:
        kind = Kind(head)
    except ValueError:
        return None
    shape = [check for check in _SHAPE[kind] if check is not None]
    if len(rest) != len(shape) or not all(check(part) for check, part in zip(shape, rest, strict=True)):
        return None
    return Place(kind, rest[0] if len(rest) == 2 else "", rest[-1] if rest else "")
