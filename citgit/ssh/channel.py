"""The client's end of a kept channel: the ssh program with `cit-serve` behind it, asked and answered in frames."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Iterator, Sequence

from citgit.errors import RemoteAway
from citgit.ssh.child import NOISE, SSH_FAILED, Child, opening
from citgit.ssh.frames import Decoder, Garbled
from citgit.ssh.messages import (
    FROM_SERVER,
    VERSIONS,
    Answered,
    Changed,
    Failed,
    Fetch,
    Fetched,
    FromClient,
    FromServer,
    Hello,
    Objects,
    Push,
    Welcome,
    decode,
    encode,
)


class Lost(RemoteAway):
    """The channel cannot be opened, or broke; `absent` if the host has no `cit-serve` that we could talk to."""

    def __init__(self, message: str, *, absent: bool = False) -> None:
        super().__init__(message, hint="git does the same without it, only slower")
        self.absent = absent


class Channel:
    """An open channel for the refs under `root`. Raises Lost if there is no `cit-serve` behind `argv`."""

    def __init__(self, argv: Sequence[str], root: str, *, timeout: float) -> None:
        self._timeout = timeout
        try:
            self._child = Child(argv)
        except OSError as error:
            raise Lost(f"cannot start {argv[0]!r}: {error.strerror}") from error
        self._decoder = Decoder()
        self._heard: deque[tuple[FromServer, bytes]] = deque()
        self._number = 0
        self._changed = False
        try:
            self.by_git = self._shake_hands(root)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Readable when the host has something to tell."""
        return self._child.fileno()

    def call(self, message: Fetch | Push, body: bytes = b"") -> Iterator[tuple[FromServer, bytes]]:
        """Sends a message and gives what comes for it, the answer last. Raises Lost."""
        self._write(encode(message, body))
        until = time.monotonic() + self._timeout
        while True:
            while not self._heard:
                self._hear(self._read(until))
            answer, with_it = self._heard.popleft()
            if not isinstance(answer, Objects | Fetched | Answered | Failed) or answer.id != message.id:
                raise Lost(f"the host ends the channel: {_reason(answer)}")
            yield answer, with_it
            if not isinstance(answer, Objects):
                return

    def tell(self, message: FromClient) -> None:
        """Sends a message that has no answer. Raises Lost."""
        self._write(encode(message))

    def next_id(self) -> int:
        """A number for the next call."""
        self._number += 1
        return self._number

    def drain(self) -> bool:
        """Whether the host told of a change since the last time; hears what has arrived. Raises Lost."""
        while select.select([self], [], [], 0)[0]:
            self._hear(self._read(time.monotonic()))
        if self._heard:
            raise Lost(f"the host ends the channel: {_reason(self._heard[0][0])}")
        changed, self._changed = self._changed, False
        return changed

    def close(self) -> None:
        """Ends the channel; the host notices by itself."""
        self._child.close()

    def _shake_hands(self, root: str) -> str:
        until = time.monotonic() + self._timeout
        heard = b""
        while not (found := opening.search(heard)):
            if len(heard) > NOISE:
                raise Lost("the host says something else than 'cit-serve'", absent=True)
            heard += self._read(until, greeting=True)
        offered = {int(version) for version in found[1].split()}
        chosen = next((version for version in VERSIONS if version in offered), None)
        if chosen is None:
            raise Lost(f"the host's cit-serve speaks version {sorted(offered)}, this one {list(VERSIONS)}", absent=True)
        self.tell(Hello(version=chosen, root=root))
        self._hear(heard[found.end() :])
        while not self._heard:
            self._hear(self._read(until))
        answer, _ = self._heard.popleft()
        if not isinstance(answer, Welcome):
            raise Lost(f"the host's cit-serve refuses: {_reason(answer)}", absent=True)
        return answer.by_git

    def _hear(self, data: bytes) -> None:
        """Takes what has arrived apart: events are noted at once, answers wait for whoever asked."""
        try:
            for head, body in self._decoder.feed(data):
                message = decode(FROM_SERVER, head)
                if isinstance(message, Changed):
                    self._changed = True
                else:
                    self._heard.append((message, body))
        except Garbled as error:
            raise Lost(f"the host's words make no sense: {error.message}") from error

    def _read(self, until: float, *, greeting: bool = False) -> bytes:
        data = self._child.read(until)
        if data is None:
            raise Lost(f"the host said nothing for {self._timeout:g} s")
        if not data:
            raise self._ended(greeting)
        return data

    def _write(self, data: bytes) -> None:
        try:
            taken = self._child.write(data, time.monotonic() + self._timeout)
        except OSError as error:
            raise self._ended() from error
        if not taken:
            raise Lost(f"the host took nothing for {self._timeout:g} s")

    def _ended(self, greeting: bool = False) -> Lost:
        status, said = self._child.last_words()
        return Lost(f"the channel ended: {said}", absent=greeting and status != SSH_FAILED)


def command_line(path: str) -> str:
    """What to run at the host for the state in the repository at `path`, quoted as git quotes."""
    quoted = path.replace("'", "'\\''")
    return f"cit-serve state '{quoted}'"


def _reason(message: FromServer) -> str:
    return message.message if isinstance(message, Failed) else f"unexpected {type(message).__name__.lower()}"
