"""SSH's wire strings: a length of four bytes, then that many bytes."""

from __future__ import annotations


class Malformed(ValueError):
    """Bytes that are not what the format says; the message says where."""


def string(data: bytes) -> bytes:
    """`data` as a wire string."""
    return len(data).to_bytes(4, "big") + data


class Reader:
    """Takes wire strings from the front of `data`."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def string(self) -> bytes:
        """The next string. Raises Malformed if it is cut short."""
        size = int.from_bytes(self.take(4), "big")
        return self.take(size)

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises Malformed if there are fewer."""
        if len(self._rest) < size:
            raise Malformed("it is cut short")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def end(self) -> None:
        """Raises Malformed if bytes are left."""
        if self._rest:
            raise Malformed(f"{len(self._rest)} bytes too many")


def number(data: bytes) -> int:
    """A positive mpint in its only form. Raises Malformed."""
    if not data or data[0] & 0x80 or (data[0] == 0 and (len(data) == 1 or not data[1] & 0x80)):
        raise Malformed("a number is not in its shortest positive form")
    return int.from_bytes(data, "big")


def mpint(value: int) -> bytes:
    """A positive number as an mpint's content."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")
