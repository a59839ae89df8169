"""A state host and its clients in memory, with every fault that a host, a network or a crash can bring."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from citgit.errors import Bug, Errored, NotFound, Refused, RemoteAway
from citgit.git.closure import links
from citgit.git.trees import parse_tree, tree_bytes
from citgit.interfaces import Answer, Entrusted, Entry, Oid, Pushed, Update
from citgit.records.commit import oid_of


class Fault(Enum):
    """What may happen to one push (or, AWAY and DENY, to a fetch)."""

    LOST_ANSWER = "applied, but the client is told nothing"
    NOT_APPLIED = "never arrived, and the client is told nothing"
    DELAYED = "the client is told nothing; it lands at a later time of the host's choosing"
    DOUBLED = "applied and answered, and a copy of it lands once more at a later time"
    CUT = "only the first updates of the batch arrive; the client is told nothing about any"
    AWAY = "the host cannot be reached"
    DENY = "the host refuses"


@dataclass(slots=True)
class Faults:
    """Which faults happen: `queued` ones first, in order (None = none), then by chance from `source`.

    `chances` maps a fault to its probability per operation; `source` decides, so one seed gives one history.
    """

    source: random.Random | None = None
    chances: Mapping[Fault, float] = field(default_factory=dict)
    queued: list[Fault | None] = field(default_factory=list)

    def next(self, possible: Sequence[Fault]) -> Fault | None:
        """The fault of one operation, out of those that are possible for it."""
        if self.queued:
            chosen = self.queued.pop(0)
            if chosen is not None and chosen not in possible:
                raise Bug(f"fault {chosen.name} cannot happen to this operation")
            return chosen
        if self.source is None:
            return None
        drawn = self.source.random()
        for fault in possible:
            drawn -= self.chances.get(fault, 0.0)
            if drawn < 0:
                return fault
        return None

    def below(self, limit: int) -> int:
        """A number in 0 … limit - 1; the middle one without a source."""
        return self.source.randrange(limit) if self.source else limit // 2


class MemoryObjects:
    """An object store in memory."""

    def __init__(self) -> None:
        self.content: dict[Oid, tuple[str, bytes]] = {}
        self.write_tree(())

    def read(self, oid: Oid, *, limit: int = 1 << 24) -> tuple[str, bytes]:
        """Type and bytes. Raises NotFound, Refused."""
        try:
            kind, data = self.content[oid]
        except KeyError:
            raise NotFound(f"object {oid[:12]} is not here", hint="fetch, then try again") from None
        if len(data) > limit:
            raise Refused(f"object {oid[:12]} is too large: {len(data)} bytes, the limit is {limit}")
        return kind, data

    def has(self, oid: Oid) -> bool:
        """Whether the object is here."""
        return oid in self.content

    def write(self, kind: str, data: bytes) -> Oid:
        """Stores an object and returns its name."""
        oid = oid_of(kind, data)
        self.content[oid] = (kind, data)
        return oid

    def group(self) -> AbstractContextManager[None]:
        """Nothing is durable here."""
        return nullcontext()

    def tree(self, oid: Oid) -> list[Entry]:
        """The entries of a tree. Raises NotFound, Errored."""
        kind, data = self.read(oid)
        if kind != "tree":
            raise Errored(f"object {oid[:12]} is a {kind}, not a tree")
        return list(_entries(data))

    def write_tree(self, entries: Iterable[Entry]) -> Oid:
        """Stores a tree and returns its name."""
        return self.write("tree", tree_bytes(entries))

    def closure(self, oid: Oid, known: Mapping[Oid, object]) -> dict[Oid, tuple[str, bytes]]:
        """The object and all that it reaches, except what `known` has. Raises NotFound if a part is missing."""
        found: dict[Oid, tuple[str, bytes]] = {}
        pending = [oid]
        while pending:
            each = pending.pop()
            if each not in found and each not in known:
                kind, data = found[each] = self.read(each, limit=sys.maxsize)
                pending += _links(kind, data)
        return found


@dataclass(slots=True)
class Delayed:
    """A push on its way: it still lands, under the lease with which it was sent; `lateness` is 0 to 1."""

    update: Update
    objects: dict[Oid, tuple[str, bytes]]
    lateness: float = 0.0


class MemoryHost:
    """The one authoritative repository. Tests may set `refs` at will; `denied` are prefixes that it refuses."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.refs: dict[str, Oid] = {}
        self.objects = MemoryObjects()
        self.faults = faults or Faults()
        self.away = False
        self.denied: tuple[str, ...] = ()
        self.unreadable = False
        self.delayed: list[Delayed] = []
        self.log: list[tuple[Update, Answer]] = []

    def apply(self, update: Update, objects: Mapping[Oid, tuple[str, bytes]]) -> Pushed:
        """One compare-and-swap, as the host sees it."""
        pushed = self._judge(update)
        if pushed.answer is Answer.DONE and update.new is not None and not self._whole(update.new, objects):
            pushed = Pushed(update, Answer.DENIED, "missing necessary objects")
        if pushed.answer is Answer.DONE:
            self.objects.content.update(objects)
            if update.new is None:
                self.refs.pop(update.ref, None)
            else:
                self.refs[update.ref] = update.new
        self.log.append((update, pushed.answer))
        return pushed

    def _judge(self, update: Update) -> Pushed:
        current = self.refs.get(update.ref)
        if self.denied and update.ref.startswith(self.denied):
            return Pushed(update, Answer.DENIED, "pre-receive hook declined: not today")
        # As git's client does: "up to date" comes before the lease. Two identical pushes are both told yes.
        if update.new is not None and current == update.new:
            return Pushed(update, Answer.DONE)
        if current != update.old:
            return Pushed(update, Answer.STALE, "stale info")
        if update.old is None and update.new is not None and any(_in_the_way(update.ref, other) for other in self.refs):
            return Pushed(update, Answer.DENIED, f"cannot create {update.ref!r}")
        return Pushed(update, Answer.DONE)

    def _whole(self, oid: Oid, objects: Mapping[Oid, tuple[str, bytes]]) -> bool:
        """Whether the host would have all of the history: a pack was made for what it had when it was sent."""
        known = self.objects.content
        if oid in known:
            return True
        linked = {each for kind, data in objects.values() for each in _links(kind, data)}
        return oid in objects and all(each in known or each in objects for each in linked)

    def land(self, index: int | None = None) -> Pushed:
        """Lets a delayed push arrive: the one at `index`, or one that the faults choose, so others overtake."""
        chosen = self.faults.below(len(self.delayed)) if index is None else index
        late = self.delayed.pop(chosen)
        return self.apply(late.update, late.objects)

    def snapshot(self) -> dict[str, Oid]:
        """The refs as a backup holds them."""
        return dict(self.refs)

    def restore(self, refs: Mapping[str, Oid]) -> None:
        """Puts an old state of all refs back; what they do not reach is gone."""
        self.refs, kept = dict(refs), self.objects
        self.objects = MemoryObjects()
        for oid in self.refs.values():
            self.objects.content.update(kept.closure(oid, self.objects.content))

    def without_faults(self) -> MemoryHost:
        """The same repository over a perfect network."""
        perfect = MemoryHost()
        perfect.refs, perfect.objects = self.refs, self.objects
        return perfect

    def empty(self) -> None:
        """Loses everything."""
        self.refs, self.objects = {}, MemoryObjects()


class MemoryRemote:
    """A client's view of `host`; what it fetches comes into `objects`."""

    _PUSH = (
        Fault.LOST_ANSWER, Fault.NOT_APPLIED, Fault.DELAYED, Fault.CUT, Fault.AWAY, Fault.DENY, Fault.DOUBLED,
    )  # fmt: skip

    def __init__(self, host: MemoryHost, objects: MemoryObjects, url: str = "memory:host") -> None:
        self.host = host
        self.objects = objects
        self._url = url

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        return self._url

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """The refs under `prefixes`, objects fetched. Raises RemoteAway, Refused."""
        fault = self.host.faults.next((Fault.AWAY, Fault.DENY))
        if self.host.away or fault is Fault.AWAY:
            raise RemoteAway(f"{self._url!r} did not answer", hint="check the address and the network")
        if self.host.unreadable or fault is Fault.DENY:
            raise Refused(f"{self._url!r} does not let this user read", hint="ask for access")
        refs = self.host.refs
        wanted = {prefix for prefix in prefixes if prefix in refs}
        if whole := tuple(prefix for prefix in prefixes if prefix.endswith("/")):
            wanted.update(ref for ref in refs if ref.startswith(whole))
        found = {ref: refs[ref] for ref in sorted(wanted)}
        for oid in found.values():
            if oid not in self.objects.content:
                self.objects.content.update(self.host.objects.closure(oid, self.objects.content))
        return found

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Tries each update; one answer each, in order. Raises NotFound if an object is not here."""
        if len({update.ref for update in updates}) != len(updates):
            raise Bug("one push names a ref twice")
        packs = [self._pack(update) for update in updates]
        fault = self.host.faults.next(self._PUSH)
        if fault is Fault.DENY:
            return [Pushed(update, Answer.DENIED, "permission denied") for update in updates]
        if self.host.away or fault in (Fault.AWAY, Fault.NOT_APPLIED):
            return self._silence(updates)
        if fault in (Fault.DELAYED, Fault.DOUBLED):
            # Each ref was compared with its lease when git's client looked; the host compares once more.
            drawn = self.host.faults.source
            lateness = drawn.random() if drawn else 0.0
            self.host.delayed += [Delayed(*pair, lateness) for pair in zip(updates, packs, strict=True)]
            if fault is Fault.DELAYED:
                return self._silence(updates)
        arriving = self.host.faults.below(len(updates) + 1) if fault is Fault.CUT else len(updates)
        done = [self.host.apply(*pair) for pair in zip(updates[:arriving], packs[:arriving], strict=True)]
        return self._silence(updates) if fault in (Fault.LOST_ANSWER, Fault.CUT) else done

    def _pack(self, update: Update) -> dict[Oid, tuple[str, bytes]]:
        return {} if update.new is None else self.objects.closure(update.new, self.host.objects.content)

    def _silence(self, updates: Sequence[Update]) -> list[Pushed]:
        return [Pushed(update, Answer.UNKNOWN, "the host did not answer") for update in updates]


class MemoryTips:
    """Remembered tips in memory."""

    def __init__(self) -> None:
        self.tips: dict[str, Oid] = {}

    def load(self) -> dict[str, Oid]:
        """All remembered tips by ref."""
        return dict(self.tips)

    def save(self, changes: Mapping[str, Oid | None]) -> None:
        """Remembers tips; None forgets one."""
        for ref, oid in changes.items():
            if oid is None:
                self.tips.pop(ref, None)
            else:
                self.tips[ref] = oid


class MemoryJournal:
    """A journal in memory: what survives a crash of the worker in a simulation."""

    def __init__(self) -> None:
        self._entries: list[Entrusted] = []
        self._claims: set[Oid] = set()

    def add(self, *entries: Entrusted) -> None:
        """Keeps the entries; adding one again changes nothing."""
        for entry in entries:
            if entry not in self._entries:
                self._entries.append(entry)
            if entry.kind == "claim":
                self._claims.add(entry.new)

    def entries(self) -> list[Entrusted]:
        """What was not settled, oldest first."""
        return list(self._entries)

    def settle(self, *news: Oid) -> None:
        """Forgets the entries whose new tips these are."""
        self._entries = [entry for entry in self._entries if entry.new not in news]

    def claims(self) -> set[Oid]:
        """The oids of all claims ever added."""
        return set(self._claims)


@lru_cache(maxsize=1 << 12)
def _entries(data: bytes) -> tuple[Entry, ...]:
    return tuple(parse_tree(data))


def _in_the_way(ref: str, other: str) -> bool:
    return other.startswith(ref + "/") or ref.startswith(other + "/")


def _links(kind: str, data: bytes) -> list[Oid]:
    """What an object names: a commit its tree and parents, a tree its entries (not submodules' commits)."""
    return [oid for oid, _ in links(kind, data)]
