"""A state repository over ssh: through a kept channel where the host has `cit-serve`, through git wherever not.

The channel is only ever a faster way to the same repository. It is opened when it is first of use; while there is none,
while it carries too little, and from the moment it breaks, git does the work. Then it is tried again after a while.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from citgit.errors import Bug
from citgit.interfaces import Answer, Objects, Oid, Pushed, Remote, Update
from citgit.model.names import Refs
from citgit.ssh.channel import Channel, Lost, command_line
from citgit.ssh.connection import Connection
from citgit.ssh.frames import BODY_LIMIT, Garbled
from citgit.ssh.messages import (
    MOST_OBJECTS,
    MOST_PREFIXES,
    MOST_UPDATES,
    Answered,
    Failed,
    Fetch,
    Fetched,
    Have,
    Parcel,
    Push,
    Swap,
    Told,
    Watch,
    in_pieces,
    named,
    unpack,
)
from citgit.ssh.messages import Objects as ObjectsMessage
from citgit.ssh.parcels import Known, TooMuch, packed, walk

_AGAIN = 1.0
_AGAIN_AT_MOST = 300.0
_ABSENT = 900.0
"""Seconds until the channel is tried again: after it broke, at most, and where the host has none."""

_STEADY = 60.0
"""Seconds after which a channel has shown that it is worth opening again at once."""

_ROUNDS = 3
"""How often objects that the host turns out to lack are sent after."""


class GitWay(Remote, Protocol):
    """The same repository through the git program."""

    def known(self) -> Mapping[str, Oid]:
        """Refs that were fetched before, by name, whose objects are here."""


class ChannelRemote:
    """The state at `connection`; its objects come into, and are pushed from, `objects`, which `git` fills too."""

    def __init__(
        self, git: GitWay, objects: Objects, connection: Connection, root: str, *, timeout: float = 120.0,
        again: float = _AGAIN,
    ) -> None:  # fmt: skip
        self._git, self._objects, self._connection, self._root = git, objects, connection, root
        self._timeout, self._first_delay = timeout, again
        self._channel: Channel | None = None
        self._delay, self._not_before, self._opened = again, 0.0, 0.0
        self._refs: dict[str, Oid] = {}
        self._whole = Known()
        self._broke = False
        self.why_not = ""

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        return self._git.url

    @property
    def is_open(self) -> bool:
        """Whether a channel is open now; `why_not` says why none is."""
        return self._channel is not None

    def close(self) -> None:
        """Ends the channel; the next call opens another one."""
        if self._channel:
            self._channel.close()
            self._channel = None

    # -- waking -----------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """What becomes readable when the host tells of a change; -1 while there is no channel."""
        return self._channel.fileno() if self._channel else -1

    def drain(self) -> bool:
        """Whether something may have changed since the last time, or it is time to try the channel again."""
        broke, self._broke = self._broke, False
        if self._channel is None:
            return broke or 0 < self._not_before < time.monotonic()
        try:
            return self._channel.drain() or broke
        except Lost as error:
            self._lose(error)
            self._broke = False
            return True

    # -- fetch ------------------------------------------------------------------------------------------

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """The host's refs under `prefixes`, their objects fetched. Raises RemoteAway, Refused."""
        for prefix in prefixes:
            if not prefix.startswith(self._root) or "*" in prefix:
                raise Bug(f"not a ref or prefix under {self._root!r}: {prefix[:200]!a}")
        channel = self._open() if prefixes else None
        if channel is None:
            return self._git.fetch(prefixes)
        try:
            portions = (prefixes[at : at + MOST_PREFIXES] for at in range(0, len(prefixes), MOST_PREFIXES))
            if all(self._by_channel(channel, portion) for portion in portions):
                return self._chosen(self._refs, prefixes)
            found = self._git.fetch(prefixes)
            self._have(channel, found)
            return found
        except Lost as error:
            self._lose(error)
        except BaseException:
            self.close()  # half an answer was heard: both ends would not know any more what the other one knows
            raise
        return self._git.fetch(prefixes)

    def _by_channel(self, channel: Channel, prefixes: Sequence[str]) -> bool:
        """Brings `_refs` up to date; False if that is too much for the channel. Raises Lost."""
        for answer, body in channel.call(Fetch(id=channel.next_id(), prefixes=list(prefixes))):
            if isinstance(answer, ObjectsMessage):
                self._store(answer, body)
            elif isinstance(answer, Fetched):
                self._check(answer.changed)
                self._refs |= answer.changed
                for ref in answer.gone:
                    self._refs.pop(ref, None)
                return True
            elif isinstance(answer, Failed) and answer.code == "git":
                return False
            elif isinstance(answer, Failed):
                raise Lost(f"the host cannot answer: {answer.message}")
        raise Lost("the host answered something else")

    def _store(self, message: ObjectsMessage, body: bytes) -> None:
        try:
            offered = unpack(message.objects, body)
        except Garbled as error:
            raise Lost(f"the host's words make no sense: {error.message}") from error
        with self._objects.group():
            for kind, data in offered:
                self._objects.write(kind, data)

    def _check(self, changed: Mapping[str, Oid]) -> None:
        """Whatever the host says, a ref counts only with all of its objects. Raises Lost."""
        for ref, tip in changed.items():
            if not ref.startswith(self._root):
                raise Lost(f"the host tells of a ref that was not asked for: {ref[:200]!a}")
            reached = list(walk(self._objects, tip, self._whole.__contains__))
            if any(not self._objects.has(oid) for _, oid in reached):
                raise Lost(f"the host did not send all objects of {ref!r}")
            for kind, oid in reversed(reached):
                if kind == "commit":
                    self._whole.add(oid)

    def _chosen(self, refs: Mapping[str, Oid], prefixes: Sequence[str]) -> dict[str, Oid]:
        whole = tuple(prefix for prefix in prefixes if prefix.endswith("/"))
        return {ref: oid for ref, oid in refs.items() if ref in prefixes or (whole and ref.startswith(whole))}

    # -- push -------------------------------------------------------------------------------------------

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Tries each update on its own; one answer each, in order. Raises NotFound if an object is not here."""
        channel = self._open() if updates else None
        if channel is None or channel.by_git:
            return self._git.push(updates)
        if len({update.ref for update in updates}) != len(updates):
            raise Bug("one push names a ref twice")
        answers: dict[str, Pushed] = {}
        by_git: list[Update] = []
        for batch, parcels, contents in self._batches(updates, by_git):
            if self._channel is None:
                by_git += batch
                continue
            try:
                self._push(channel, batch, parcels, contents, answers, by_git)
            except Lost as error:
                self._lose(error)
                # it may have happened, or not: whoever asks looks, through git
                for update in batch:
                    answers.setdefault(update.ref, Pushed(update, Answer.UNKNOWN, error.message))
            except BaseException:
                self.close()
                raise
        answers |= {pushed.update.ref: pushed for pushed in self._git.push(by_git)}
        return [answers[update.ref] for update in updates]

    def _batches(
        self, updates: Sequence[Update], by_git: list[Update]
    ) -> list[tuple[list[Update], list[Parcel], list[bytes]]]:
        """Updates in messages that are not too large, with their objects; what is too large alone is for git."""
        batches: list[tuple[list[Update], list[Parcel], list[bytes]]] = []
        size = 0
        known = set(self._refs.values())
        for update in updates:
            try:
                parcels, contents = self._lacking(update, known)
            except TooMuch:
                by_git.append(update)
                continue
            more = sum(map(len, contents))
            if (
                not batches
                or len(batches[-1][0]) == MOST_UPDATES
                or size + more > BODY_LIMIT
                or len(batches[-1][1]) + len(parcels) > MOST_OBJECTS
            ):
                batches.append(([], [], []))
                size = 0
            batches[-1][0].append(update)
            batches[-1][1].extend(parcels)
            batches[-1][2].extend(contents)
            size += more
        return batches

    def _lacking(self, update: Update, known: set[Oid]) -> tuple[list[Parcel], list[bytes]]:
        if update.new is None:
            return [], []
        return packed(self._objects, list(walk(self._objects, update.new, lambda o: o == update.old or o in known)))

    def _push(
        self, channel: Channel, batch: list[Update], parcels: list[Parcel], contents: list[bytes],
        answers: dict[str, Pushed], by_git: list[Update],
    ) -> None:  # fmt: skip
        """One message, and again with what the host turned out to lack. Raises Lost."""
        for _ in range(_ROUNDS):
            told = self._ask(channel, batch, parcels, b"".join(contents))
            if isinstance(told, Failed):
                if told.code == "git":
                    by_git += batch
                else:
                    for update in batch:
                        answers[update.ref] = Pushed(update, Answer.UNKNOWN, told.message)
                return
            lacking: dict[Oid, str] = {}
            left = []
            for update, one in zip(batch, told, strict=True):
                if one.answer == "missing":
                    left.append(update)
                    lacking |= dict.fromkeys(one.missing, "")
                else:
                    answers[update.ref] = self._settled(update, one)
            if not left:
                return
            batch = left
            try:
                more, further = packed(self._objects, [("", oid) for oid in lacking if self._objects.has(oid)])
            except TooMuch:
                break
            parcels, contents = [*parcels, *more], [*contents, *further]
            if sum(map(len, contents)) > BODY_LIMIT or len(parcels) > MOST_OBJECTS:
                break
        by_git += batch

    def _ask(
        self, channel: Channel, batch: list[Update], parcels: list[Parcel], body: bytes
    ) -> Sequence[Told] | Failed:
        swaps = [Swap(ref=update.ref, old=update.old, new=update.new) for update in batch]
        for answer, _ in channel.call(Push(id=channel.next_id(), updates=swaps, objects=parcels), body):
            if isinstance(answer, Failed):
                return answer
            if isinstance(answer, Answered) and len(answer.answers) == len(batch):
                return answer.answers
        raise Lost("the host answered something else")

    def _settled(self, update: Update, told: Told) -> Pushed:
        try:
            answer = Answer(told.answer)
        except ValueError:
            answer = Answer.UNKNOWN
        if answer is Answer.DONE:
            # as the host does, which will not tell of it again
            self._refs.pop(update.ref, None)
            if update.new:
                self._refs[update.ref] = update.new
                self._whole.add(update.new)
        return Pushed(update, answer, "".join(one if one.isprintable() else "?" for one in told.message)[-1000:])

    # -- the channel ------------------------------------------------------------------------------------

    def _open(self) -> Channel | None:
        """The channel, opened if it is time to; None if there is none."""
        if self._channel or time.monotonic() < self._not_before:
            return self._channel
        line = command_line(self._connection.address.path)
        try:
            channel = Channel(self._connection.argv(line), self._root, timeout=self._timeout)
        except Lost as error:
            self._lose(error)
            return None
        self._channel, self._opened, self.why_not = channel, time.monotonic(), ""
        self._refs, self._whole = {}, Known()
        self._objects.write("tree", b"")  # records name it, and it is never sent
        refs = Refs(self._root)
        try:
            self._have(channel, self._git.known())
            channel.tell(Watch(prefixes=[refs.builds(), refs.policy]))
        except Lost as error:
            self._lose(error)
        return self._channel

    def _have(self, channel: Channel, found: Mapping[str, Oid]) -> None:
        for portion in in_pieces(found):
            channel.tell(Have(refs=portion))
        self._refs |= named(found)
        for oid in found.values():
            self._whole.add(oid)

    def _lose(self, error: Lost) -> None:
        opened = self._channel is not None
        self.close()
        self.why_not, self._broke = error.message, self._broke or opened
        now = time.monotonic()
        if opened and now - self._opened > _STEADY:
            self._delay = self._first_delay
        self._not_before = now + (_ABSENT if error.absent else self._delay)
        self._delay = min(2 * self._delay, _AGAIN_AT_MOST)
