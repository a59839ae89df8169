"""Frames of the channel: two lengths, a JSON head, a body of raw bytes. No input or output happens here."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from citgit.errors import Refused

HEAD_LIMIT = 1 << 20
BODY_LIMIT = 4 << 20
"""Bytes. Whoever announces more is refused before any of it is kept; what is larger goes through git."""

_LENGTHS = struct.Struct(">II")


class Garbled(Refused):
    """The other end sent what the protocol does not allow; nothing that follows can be trusted."""


def frame(head: bytes, body: bytes = b"") -> bytes:
    """One frame."""
    if len(head) > HEAD_LIMIT or len(body) > BODY_LIMIT:
        raise Garbled(f"a frame of {len(head)} + {len(body)} bytes is too large")
    return b"".join((_LENGTHS.pack(len(head), len(body)), head, body))


class Decoder:
    """Frames from bytes as they arrive, however they were cut."""

    def __init__(self) -> None:
        self._pending = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether no frame has begun."""
        return not self._pending

    def rest(self, most: int) -> bytes:
        """Bytes that follow the last frame, at most so many, taken out: for who knows that they are no frame."""
        found = bytes(self._pending[:most])
        del self._pending[:most]
        return found

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(head, body) of each frame that is whole now. Raises Garbled."""
        self.add(data)
        while found := self.take():
            yield found

    def add(self, data: bytes) -> None:
        """What has arrived."""
        self._pending += data

    def take(self) -> tuple[bytes, bytes] | None:
        """(head, body) of the next frame; None while it is not whole. Raises Garbled."""
        if len(self._pending) < _LENGTHS.size:
            return None
        head, body = _LENGTHS.unpack_from(self._pending)
        if not 0 < head <= HEAD_LIMIT or body > BODY_LIMIT:
            raise Garbled(f"a frame of {head} + {body} bytes is not allowed")
        start, end = _LENGTHS.size + head, _LENGTHS.size + head + body
        if len(self._pending) < end:
            return None
        found = bytes(self._pending[_LENGTHS.size : start]), bytes(self._pending[start:end])
        del self._pending[:end]
        return found
