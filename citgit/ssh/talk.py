"""A node's end of one command: what a client asks on stdin and is answered on stdout, in frames."""

from __future__ import annotations

import errno
import os
import select
from typing import TypeVar

import msgspec

from citgit.errors import CitError
from citgit.ssh.frames import BODY_LIMIT, Decoder, Garbled, frame
from citgit.ssh.messages import GREETING
from citgit.ssh.pipe import STALLED, Gone, send

T = TypeVar("T")

NODE_VERSIONS = (1,)
"""What this end speaks, best first."""

_CHUNK = 1 << 16
_AT_ONCE = 1 << 20


class NodeMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str.lower):
    """A message between a node and its client: fields may be added, with defaults, and unknown ones are ignored."""


class Sorry(NodeMessage, frozen=True, kw_only=True):
    """Why the client does not get what it asked for: the exit status of the error, its words and its hint."""

    status: int
    message: str
    hint: str = ""


def encoded(message: NodeMessage, body: bytes = b"") -> bytes:
    """The message as a frame."""
    return frame(msgspec.json.encode(message), body)


def decoded(kind: type[T], head: bytes) -> T:
    """The message in a frame's head. Raises Garbled if it is not of that kind."""
    try:
        return msgspec.json.decode(head, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Garbled(f"not what was to be said now: {str(error)[:200]}") from None


def sorry(error: CitError) -> Sorry:
    """An error as the client is told."""
    return Sorry(status=error.status, message=error.message[:2000], hint=error.hint[:1000])


class Talk:
    """One client: `patience` is for how many seconds it may say nothing where something is waited for."""

    def __init__(self, source: int = 0, sink: int = 1, *, patience: float = STALLED) -> None:
        self._source, self._sink, self._patience = source, sink, patience
        self._decoder = Decoder()
        self._heard: list[tuple[bytes, bytes]] = []
        os.set_blocking(sink, False)
        send(sink, f"{GREETING} {' '.join(str(version) for version in NODE_VERSIONS)}\n".encode(), STALLED)

    def say(self, message: NodeMessage, body: bytes = b"") -> None:
        """One message. Raises Gone if the client does not read any more."""
        send(self._sink, encoded(message, body), STALLED)

    def pour(self, data: bytes | memoryview) -> None:
        """Bytes that a message before announced. Raises Gone."""
        send(self._sink, data, STALLED)

    def pour_file(self, handle: int, at: int, count: int) -> None:
        """Bytes of a file that a message before announced. Raises Gone."""
        while count:
            if not select.select([], [self._sink], [], STALLED)[1]:
                raise Gone
            try:
                done = os.sendfile(self._sink, handle, at, min(count, _AT_ONCE))
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS):
                    raise
                block = os.pread(handle, min(count, _AT_ONCE), at)
                send(self._sink, block, STALLED)
                done = len(block)
            if not done:
                raise Gone  # it was cut meanwhile, and what was announced cannot be given
            at, count = at + done, count - done

    def hear(self, kind: type[T], *, patience: float = 0.0) -> T:
        """The next message, which must be of that kind and have no body. Raises Gone if there is none, Garbled."""
        while not self._heard:
            if not select.select([self._source], [], [], patience or self._patience)[0]:
                raise Gone
            if not self._take():
                raise Gone
        head, body = self._heard.pop(0)
        if body:
            raise Garbled("a client's message has no body")
        return decoded(kind, head)

    def rest(self, seconds: float) -> None:
        """Waits that long, less if the client says something. Raises Gone if it leaves."""
        if select.select([self._source], [], [], seconds)[0] and not self._take():
            raise Gone

    def _take(self) -> bool:
        """Takes what the client says now; False if it has ended."""
        data = os.read(self._source, _CHUNK)
        self._heard += self._decoder.feed(data)
        if len(self._heard) > 1000 or sum(len(body) for _, body in self._heard) > BODY_LIMIT:
            raise Garbled("too much is said at once")
        return bool(data)
