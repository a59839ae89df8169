"""A client's end of one command of a node: the ssh program with a verb of `cit-serve` behind it."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeVar

import msgspec

from citgit.errors import CitError, Errored, NodeAway, NoServe, NotFound, Refused, RemoteAway, TryAgain, UsageError
from citgit.ssh.frames import Decoder
from citgit.ssh.messages import GREETING
from citgit.ssh.reading import Challenge, Proof
from citgit.ssh.talk import NODE_VERSIONS, NodeMessage, Sorry, decoded, encoded

T = TypeVar("T")

PATIENCE_S = 20.0
"""For how long a node that ssh reaches may say nothing: it may be busy. One that is away ssh tells of in five."""

_PROOF_S = 900.0
_CHUNK = 1 << 18
_NOISE = 8192
_SSH_FAILED = 255
_NOT_FOUND = 127
_GREETING = re.compile(rb"(?:^|\n)" + GREETING.encode() + rb"((?: [0-9]{1,4}){1,20})\n")


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
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the call)
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, start_new_session=True
            )
        except OSError as error:
            self._words.close()
            raise NodeAway(f"cannot start {argv[0]!r}: {error.strerror}", hint="install ssh") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
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
        return self._out

    def say(self, message: NodeMessage) -> None:
        """One message. Raises NodeAway."""
        until = time.monotonic() + self._patience
        view = memoryview(encoded(message))
        while view:
            if not select.select([], [self._in], [], max(0.0, until - time.monotonic()))[1]:
                raise self._silent()
            try:
                view = view[os.write(self._in, view) :]
            except OSError:
                self.hear(NodeMessage)  # it may have said why
                raise self._ended() from None

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
            if not select.select([self._out], [], [], max(0.0, until - time.monotonic()))[0]:
                raise self._silent()
            self._take()

    def waits(self, seconds: float) -> bool:
        """Waits that long at most; whether there is a message to hear. Raises NodeAway, NoServe."""
        until = time.monotonic() + seconds
        while not (found := self._frame()):
            if not select.select([self._out], [], [], max(0.0, until - time.monotonic()))[0]:
                return False
            self._take()
        self._next = found
        return True

    def raw(self, most: int, patience: float = 0.0) -> bytes:
        """Some bytes of those that a message announced, at most so many. Raises NodeAway."""
        if rest := self._decoder.rest(most):
            return rest
        if not select.select([self._out], [], [], patience or self._patience)[0]:
            raise self._silent()
        data = os.read(self._out, min(most, _CHUNK))
        if not data:
            raise self._ended()
        return data

    def close(self) -> None:
        """Ends it; the node notices by itself."""
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            # the whole session: a user's own command may be a shell's, with ssh below it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
                break
        self._words.close()

    def _frame(self) -> tuple[bytes, bytes] | None:
        """The next frame; what follows it is left alone, since it may be none."""
        return self._next or (self._decoder.take() if self._greeted else None)

    def _take(self) -> None:
        data = os.read(self._out, _CHUNK)
        if not data:
            raise self._ended()
        if not self._greeted:
            self._noise += data
            found = _GREETING.search(self._noise)
            if not found:
                if len(self._noise) > _NOISE:
                    raise NoServe(f"{self._node} says something else than 'cit-serve'", hint=_INSTALL)
                return
            offered = {int(version) for version in found[1].split()}
            if not offered & set(NODE_VERSIONS):
                raise NoServe(f"{self._node} speaks version {sorted(offered)}, this citgit {list(NODE_VERSIONS)}")
            self._greeted, data = True, self._noise[found.end() :]
        self._decoder.add(data)

    def _silent(self) -> NodeAway:
        return NodeAway(f"{self._node} said nothing for {self._patience:g} s", hint="try again when it is back")

    def _ended(self) -> RemoteAway:
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            status = _SSH_FAILED
        self._words.seek(0)
        lines = [line.strip() for line in self._words.read(_NOISE).decode(errors="replace").split("\n") if line.strip()]
        said = re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", "; ".join(lines))[-300:] or f"status {status}"
        # 255 is ssh's own: the node is away, or does not let us in; anything else is what became of the command
        if status == _SSH_FAILED or self._greeted:
            return NodeAway(f"{self._node} cannot be reached: {said}", hint="try again when it is back")
        fault = NoServe(f"{self._node} does not serve this: {said}", hint=_INSTALL)
        fault.absent = status == _NOT_FOUND
        return fault


_INSTALL = "docs/serve.md says how a node lets people read"
_ERRORS: dict[int, type[CitError]] = {2: NotFound, 3: Refused, 4: Errored, 75: TryAgain}


def _error(said: Sorry, node: str) -> CitError:
    """What a node said as an error of ours, with its name; its words reach a terminal as they are printable."""
    kind = _ERRORS.get(said.status, UsageError)
    words = (re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", text) for text in (said.message, said.hint))
    message, hint = words
    return kind(f"{node}: {message}", hint=hint)


def node_line(verb: str, *words: str, folder: str = "") -> str:
    """The command line of a node's verb; words are ids, which need no quotes. `folder` is where the program is."""
    return " ".join([f"{folder}/cit-serve" if folder else "cit-serve", verb, *words])
