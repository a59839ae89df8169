"""The two ends of the channel joined without a process: a host in memory, and what a client would say to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from citgit.git.overlay import Overlay
from citgit.interfaces import Objects, Oid, Pushed, Update
from citgit.ssh.frames import Decoder
from citgit.ssh.messages import FROM_SERVER, FromClient, FromServer, Hello, Welcome, decode, encode
from citgit.ssh.session import Admit, Session
from citgit.testing.memory import MemoryHost

ROOT = "refs/cit/"


class MemorySwaps:
    """The refs of a host in memory."""

    def __init__(self, host: MemoryHost) -> None:
        self._host = host

    def read(self, ref: str) -> Oid | None:
        """One."""
        return self._host.refs.get(ref)

    def under(self, prefix: str) -> Mapping[str, Oid]:
        """Many."""
        return {ref: oid for ref, oid in self._host.refs.items() if ref.startswith(prefix)}

    def swap(self, updates: Sequence[Update]) -> list[Pushed]:
        """Each on its own."""
        return [self._host.apply(update, {}) for update in updates]


def anything(update: Update, objects: Objects) -> str:
    """A host that lets everything in: what is judged is tested where the judgement is."""
    return ""


class Joined:
    """A session and the frames that it sent."""

    def __init__(self, host: MemoryHost, admit: Admit = anything, *, greet: bool = True) -> None:
        self.host = host
        self.by_git = ""
        self.session = Session(
            ROOT, host.objects, MemorySwaps(host), lambda offered: Overlay(host.objects, offered), admit,
            by_git=lambda: self.by_git,
        )  # fmt: skip
        self._decoder = Decoder()
        if greet:
            assert isinstance(self.say(Hello(version=1, root=ROOT))[0][0], Welcome)

    def raw(self, data: bytes) -> list[tuple[FromServer, bytes]]:
        """What comes back for some bytes."""
        answers = b"".join(self.session.received(data))
        return [(decode(FROM_SERVER, head), body) for head, body in self._decoder.feed(answers)]

    def say(self, message: FromClient, body: bytes = b"") -> list[tuple[FromServer, bytes]]:
        """What comes back for a message."""
        return self.raw(encode(message, body))

    def look(self) -> list[FromServer]:
        """What the session says of changes."""
        return [decode(FROM_SERVER, head) for head, _ in self._decoder.feed(self.session.look())]
