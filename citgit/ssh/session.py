"""The server's side of the channel: answers a client's messages from one repository. No input or output of its own.

It knows nothing beyond the repository: what it remembers is only what it has told this client.
Whatever is pushed is judged by `admit`, the same judgement as in a server hook, before any of it is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from citgit.errors import CitError
from citgit.interfaces import Answer, Objects, Oid, Pushed, Update
from citgit.ssh.frames import BODY_LIMIT, HEAD_LIMIT, Decoder, Garbled
from citgit.ssh.messages import (
    FROM_CLIENT,
    GREETING,
    VERSIONS,
    Answered,
    Changed,
    Failed,
    Fetch,
    Fetched,
    FromClient,
    Have,
    Hello,
    Parcel,
    Push,
    Told,
    Watch,
    Welcome,
    decode,
    encode,
    named,
    unpack,
)
from citgit.ssh.messages import Objects as ObjectsMessage
from citgit.ssh.parcels import Known, TooMuch, carried, walk

_MOST_REFS = 200_000
_MOST_MISSING = 1000
_BATCH = 500
"""Objects in one message of an answer."""

_MOST_TO_FETCH = 5_000
"""Objects in one answer: beyond that git's packs are better."""


class Swaps(Protocol):
    """The refs of the repository under the session's root."""

    def read(self, ref: str) -> Oid | None:
        """Where the ref is; None if there is none."""

    def under(self, prefix: str) -> Mapping[str, Oid]:
        """All refs whose names start with `prefix`, which ends in a slash."""

    def swap(self, updates: Sequence[Update]) -> list[Pushed]:
        """Compares and swaps each ref, independently of the others; durable when it returns."""


class Offered(Objects, Protocol):
    """Objects in memory over those of the repository."""

    def __contains__(self, oid: Oid) -> bool:
        """Whether it was offered."""


Admit = Callable[[Update, Objects], str]
"""Why an update must not land ("" if it may), given the repository's objects and those that came with it."""


class Session:
    """One client of the repository with these `objects` and `refs`.

    `by_git` is asked before each push why it must go through git ("" if it need not): only git runs other hooks.
    """

    def __init__(
        self,
        root: str,
        objects: Objects,
        refs: Swaps,
        offer: Callable[[Iterable[tuple[str, bytes]]], Offered],
        admit: Admit,
        *,
        by_git: Callable[[], str] = str,
    ) -> None:
        self._root = root
        self._objects, self._refs, self._offer, self._admit = objects, refs, offer, admit
        self._by_git = by_git
        self._decoder = Decoder()
        self._greeted = False
        self._told: dict[str, Oid] = {}
        # what the client has, some of it by its own word; what this repository has whole, for certain
        self._known, self._whole = Known(), Known()
        self._watched: tuple[str, ...] = ()
        self._announced = False
        self.ended = False

    @property
    def is_between(self) -> bool:
        """Whether no message has been begun."""
        return self._decoder.is_empty

    @staticmethod
    def greeting() -> bytes:
        """What is sent before anything is heard: a line that a person can read too."""
        return f"{GREETING} {' '.join(str(version) for version in VERSIONS)}\n".encode()

    def received(self, data: bytes) -> Iterator[bytes]:
        """What to send in answer to some bytes; the last frame explains, if `ended` is set."""
        try:
            for head, body in self._decoder.feed(data):
                yield from self._answer(decode(FROM_CLIENT, head), body)
                if self.ended:
                    return
        except Garbled as error:
            yield self.end("protocol", error.message)

    def end(self, code: str, message: str) -> bytes:
        """The last frame."""
        self.ended = True
        return encode(Failed(code=code, message=message[:1000]))

    def look(self) -> bytes:
        """What to send when refs may have changed: at most one frame between two fetches."""
        if self._announced or not self._watched:
            return b""
        try:
            if all(not any(self._difference(prefix)) for prefix in self._watched):
                return b""
        except OSError:
            return b""  # whoever asks next is told
        self._announced = True
        return encode(Changed())

    def _answer(self, message: FromClient, body: bytes) -> Iterator[bytes]:
        if isinstance(message, Hello):
            yield self._welcome(message)
        elif not self._greeted:
            raise Garbled("the first message must be hello")
        elif body and not isinstance(message, Push):
            raise Garbled("only a push has a body")
        elif isinstance(message, Have):
            self._learn(message)
        elif isinstance(message, Watch):
            self._watched, self._announced = tuple(self._prefixes(message.prefixes)), False
            yield self.look()
        else:
            answer = self._fetch(message) if isinstance(message, Fetch) else self._push(message, body)
            try:
                yield from answer
            except TooMuch as error:
                yield encode(Failed(id=message.id, code="git", message=error.message))
            except Garbled:
                raise
            except (CitError, OSError) as error:
                yield encode(Failed(id=message.id, code="away", message=str(error)[:1000]))

    def _welcome(self, hello: Hello) -> bytes:
        if self._greeted or hello.version not in VERSIONS:
            raise Garbled(f"version {hello.version} is not spoken here")
        if hello.root != self._root:
            raise Garbled(f"the state of this repository is under {self._root!r}")
        self._greeted = True
        return encode(Welcome(version=hello.version, by_git=self._by_git()))

    def _learn(self, have: Have) -> None:
        self._prefixes(have.refs)
        if len(self._told) + len(have.refs) > _MOST_REFS:
            raise Garbled(f"more than {_MOST_REFS} refs")
        self._told |= have.refs
        for oid in have.refs.values():
            self._known.add(oid)

    def _prefixes(self, prefixes: Iterable[str]) -> list[str]:
        chosen = list(prefixes)
        for prefix in chosen:
            if not prefix.startswith(self._root) or "*" in prefix or "\n" in prefix or "/../" in prefix:
                raise Garbled(f"not a ref or prefix under {self._root!r}: {prefix[:200]!a}")
        return chosen

    # -- fetch ------------------------------------------------------------------------------------------

    def _difference(self, prefix: str) -> tuple[dict[str, Oid], list[str]]:
        """(changed, gone) of what was told under a prefix."""
        if prefix.endswith("/"):
            now = named(self._refs.under(prefix))
            told = {ref for ref in self._told if ref.startswith(prefix)}
        else:
            here = self._refs.read(prefix)
            now = {prefix: here} if here else {}
            told = {prefix} & self._told.keys()
        return {ref: oid for ref, oid in now.items() if self._told.get(ref) != oid}, sorted(told - now.keys())

    def _fetch(self, message: Fetch) -> Iterator[bytes]:
        changed: dict[str, Oid] = {}
        gone: set[str] = set()
        self._announced = False
        for prefix in self._prefixes(message.prefixes):
            found, lost = self._difference(prefix)
            changed |= found
            gone |= set(lost)
        names = sum(len(ref.encode()) + 50 for ref in (*changed, *gone))
        if len(changed) + len(gone) > _MOST_TO_FETCH or names > HEAD_LIMIT:
            raise TooMuch(f"{len(changed)} refs have changed")
        needed: dict[Oid, str] = {}
        for oid in changed.values():
            for kind, each in reversed(list(walk(self._objects, oid, self._known.__contains__))):
                needed.setdefault(each, kind)
            if len(needed) > _MOST_TO_FETCH:
                raise TooMuch(f"{len(needed)} objects have changed")
        yield from self._send(message.id, needed)
        # only now: whoever is sent to git has learnt nothing
        self._told |= changed
        for ref in gone:
            self._told.pop(ref, None)
        for oid, kind in needed.items():
            if kind == "commit":
                self._known.add(oid)
                self._whole.add(oid)
        yield encode(Fetched(id=message.id, changed=changed, gone=sorted(gone)))

    def _send(self, number: int, needed: Mapping[Oid, str]) -> Iterator[bytes]:
        """Objects in messages that are not too large, in the order of the mapping."""
        parcels: list[Parcel] = []
        contents: list[bytes] = []
        size = 0
        for oid in needed:
            kind, data = carried(self._objects, oid)
            if parcels and (size + len(data) > BODY_LIMIT or len(parcels) == _BATCH):
                yield encode(ObjectsMessage(id=number, objects=parcels), b"".join(contents))
                parcels, contents, size = [], [], 0
            parcels.append((kind, len(data)))
            contents.append(data)
            size += len(data)
        if parcels:
            yield encode(ObjectsMessage(id=number, objects=parcels), b"".join(contents))

    # -- push -------------------------------------------------------------------------------------------

    def _push(self, message: Push, body: bytes) -> Iterator[bytes]:
        if why := self._by_git():
            raise TooMuch(why)
        offered = self._offer(unpack(message.objects, body))
        updates = [Update(each.ref, each.old, each.new) for each in message.updates]
        self._prefixes(update.ref for update in updates)
        if len({update.ref for update in updates}) != len(updates):
            raise Garbled("one push names a ref twice")
        told: dict[str, Told] = {}
        wanted: dict[Oid, None] = {}
        for update in updates:
            answer = self._refusal(update, offered, wanted)
            if answer:
                told[update.ref] = answer
        self._store(offered, wanted)
        swapped = self._refs.swap([update for update in updates if update.ref not in told])
        for pushed in swapped:
            update = pushed.update
            told[update.ref] = Told(answer=pushed.answer.value, message=pushed.message[-1000:])
            if pushed.answer is Answer.DONE:
                self._told.pop(update.ref, None)
                if update.new:
                    self._told[update.ref] = update.new
                    self._known.add(update.new)
                    self._whole.add(update.new)
        yield encode(Answered(id=message.id, answers=[told[update.ref] for update in updates]))

    def _refusal(self, update: Update, offered: Offered, wanted: dict[Oid, None]) -> Told | None:
        """Why an update is not even tried; the offered objects that it needs are added to `wanted`."""
        now = self._refs.read(update.ref)
        if now == update.new and now is not None:
            return Told(answer=Answer.DONE.value)
        if now != update.old:
            return Told(answer=Answer.STALE.value, message="stale info")
        if update.new is not None:
            reached = list(walk(offered, update.new, lambda oid: oid == update.old or oid in self._whole))
            if missing := [oid for _, oid in reached if not offered.has(oid)]:
                return Told(answer="missing", missing=missing[:_MOST_MISSING])
            needed = [oid for _, oid in reversed(reached) if oid in offered]
        else:
            needed = []
        if refused := self._admit(update, offered):
            return Told(answer=Answer.DENIED.value, message=refused)
        wanted |= dict.fromkeys(needed)
        return None

    def _store(self, offered: Offered, wanted: Iterable[Oid]) -> None:
        with self._objects.group():
            self._objects.write("tree", b"")  # records name it, and nobody sends it
            for oid in wanted:
                self._objects.write(*offered.read(oid))
