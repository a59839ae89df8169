"""A client's end of one command of a node: the ssh program with a verb of `cit-serve` behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

import msgspec

from citgit.errors import CitError, Errored, NodeAway, NoServe, NotFound, Refused, RemoteAway, TryAgain, UsageError
from citgit.ssh.child import CHUNK, NOISE, SSH_FAILED, Child, opening, printable
from citgit.ssh.frames import Decoder
from citgit.ssh.reading import Challenge, Proof
from citgit.ssh.talk import NODE_VERSIONS, NodeMessage, Sorry, decoded, encoded

T = TypeVar("T")

PATIENCE_S = 20.0
"""For how long a node that ssh reaches may say nothing: it may be busy. One that is away ssh tells of in five."""

_PROOF_S = 900.0
_NOT_FOUND = 127


class _Tag(msgspec.Struct):
    """What kind of message it is."""

    type: str


class Call:
    """One command of a node, begun: `argv` runs it there. Raises NodeAway.

    `prove` answers the node's question whether its reader has the code, whenever it asks.
    """

    def __init__(
        self, argv: Sequence[str], *, node: str, patience: float = PATIENCE_S,
        prove: Callable[[Challenge], Proof] | None = None,
    ) -> None:  # fmt: skip
        self._node, self._patience, self._prove = node, patience, prove
        try:
            self._child = Child(argv)
        except OSError as error:
            raise NodeAway(f"cannot start {argv[0]!r}: {error.strerror}", hint="install ssh") from error
        self._decoder = Decoder()
        self._next: tuple[bytes, bytes] | None = None
        self._greeted = False
        self._noise = b""

    def __enter__(self) -> Call:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def fileno(self) -> int:
        """Readable when the node has said something."""
        return self._child.fileno()

    def say(self, message: NodeMessage) -> None:
        """One message. Raises NodeAway."""
        try:
            taken = self._child.write(encoded(message), time.monotonic() + self._patience)
        except OSError:
            self.hear(NodeMessage)  # it may have said why
            raise self._ended() from None
        if not taken:
            raise self._silent()

    def hear(self, kind: type[T], patience: float = 0.0) -> T:
        """The next message, which must be of that kind. Raises NodeAway, NoServe, Garbled, or what the node says."""
        return self.hear_with(kind, patience)[0]

    def hear_with(self, kind: type[T], patience: float = 0.0) -> tuple[T, bytes]:
        """The next message and its body."""
        while True:
            if not self.waits(patience or self._patience) or self._next is None:
                raise self._silent()
            (head, body), self._next = self._next, None
            match decoded(_Tag, head).type:
                case "sorry":
                    raise _error(decoded(Sorry, head), self._node)
                case "challenge" if self._prove:
                    self.say(self._prove(decoded(Challenge, head)))
                    patience = _PROOF_S  # the node goes over all of the code too
                case _:
                    return decoded(kind, head), body

    def greet(self) -> None:
        """Waits until the node has begun to talk. Raises NodeAway, NoServe."""
        until = time.monotonic() + self._patience
        while not self._greeted:
            if not self._take(until):
                raise self._silent()

    def waits(self, seconds: float) -> bool:
        """Waits that long at most; whether there is a message to hear. Raises NodeAway, NoServe."""
        until = time.monotonic() + seconds
        while not (found := self._frame()):
            if not self._take(until):
                return False
        self._next = found
        return True

    def raw(self, most: int, patience: float = 0.0) -> bytes:
        """Some bytes of those that a message announced, at most so many. Raises NodeAway."""
        if rest := self._decoder.rest(most):
            return rest
        data = self._child.read(time.monotonic() + (patience or self._patience), min(most, CHUNK))
        if data is None:
            raise self._silent()
        if not data:
            raise self._ended()
        return data

    def kill(self) -> None:
        """Ends it from another thread: whoever waits for it hears NodeAway, and closes it."""
        self._child.kill()

    def close(self) -> None:
        """Ends it; the node notices by itself."""
        self._child.close()

    def _frame(self) -> tuple[bytes, bytes] | None:
        """The next frame; what follows it is left alone, since it may be none."""
        return self._next or (self._decoder.take() if self._greeted else None)

    def _take(self, until: float) -> bool:
        """Takes in what comes; whether anything came until then."""
        data = self._child.read(until)
        if data is None:
            return False
        if not data:
            raise self._ended()
        if not self._greeted:
            self._noise += data
            found = opening.search(self._noise)
            if not found:
                if len(self._noise) > NOISE:
                    raise NoServe(f"{self._node} says something else than 'cit-serve'", hint=_INSTALL)
                return True
            offered = {int(version) for version in found[1].split()}
            if not offered & set(NODE_VERSIONS):
                raise NoServe(f"{self._node} speaks version {sorted(offered)}, this citgit {list(NODE_VERSIONS)}")
            self._greeted, data = True, self._noise[found.end() :]
        self._decoder.add(data)
        return True

    def _silent(self) -> NodeAway:
        return NodeAway(f"{self._node} said nothing for {self._patience:g} s", hint="try again when it is back")

    def _ended(self) -> RemoteAway:
        status, said = self._child.last_words()
        if status == SSH_FAILED or self._greeted:
            return NodeAway(f"{self._node} cannot be reached: {said}", hint="try again when it is back")
        fault = NoServe(f"{self._node} does not serve this: {said}", hint=_INSTALL)
        fault.absent = status == _NOT_FOUND
        return fault


_INSTALL = "docs/serve.md says how a node lets people read"
_ERRORS: dict[int, type[CitError]] = {2: NotFound, 3: Refused, 4: Errored, 75: TryAgain}


def _error(said: Sorry, node: str) -> CitError:
    """What a node said as an error of ours, with its name; its words reach a terminal as they are printable."""
    kind = _ERRORS.get(said.status, UsageError)
    return kind(f"{node}: {printable(said.message)}", hint=printable(said.hint))


def node_line(verb: str, *words: str, folder: str = "") -> str:
    """The command line of a node's verb; words are ids, which need no quotes. `folder` is where the program is."""
    return " ".join([f"{folder}/cit-serve" if folder else "cit-serve", verb, *words])
