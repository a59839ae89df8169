"""Packed streams: zstandard frames that are read alone, and the seek table of zstd's own seekable format at the end.

`zstdcat` reads them as they are: to it, the table is a frame to skip.
"""

from __future__ import annotations

import io
import itertools
import os
import struct
from bisect import bisect_right
from collections.abc import Callable
from typing import BinaryIO

import zstandard

BLOCK = 1 << 20
"""Bytes of a stream in one frame."""

_LEVEL = 3
_SKIPPABLE = 0x184D2A5E
_SEEKABLE = 0x8F92EAB1
_FOOTER = struct.Struct("<IBI")
_ENTRY = struct.Struct("<II")
_CHECKSUM = 0x80
_MOST_FRAMES = 1 << 20


class Damaged(OSError):
    """A packed stream that is not one, or not whole."""


def pack(source: BinaryIO, target: BinaryIO, seen: Callable[[bytes], None]) -> int:
    """Copies `source` into frames; each block is shown to `seen` too. The bytes copied. Raises OSError."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    entries = []
    total = 0
    while block := source.read(BLOCK):
        frame = compressor.compress(block)
        target.write(frame)
        entries.append(_ENTRY.pack(len(frame), len(block)))
        total += len(block)
        seen(block)
    table = b"".join(entries) + _FOOTER.pack(len(entries), 0, _SEEKABLE)
    target.write(struct.pack("<II", _SKIPPABLE, len(table)) + table)
    return total


class Packed:
    """A packed stream, read by offsets of what was packed; the last frame that was read is kept."""

    def __init__(self, descriptor: int) -> None:
        """Owns the descriptor. Raises Damaged."""
        self._file = io.FileIO(descriptor)
        sizes = self._table()
        self._places = list(itertools.accumulate((packed for packed, _ in sizes), initial=0))
        self._starts = list(itertools.accumulate((whole for _, whole in sizes), initial=0))
        self._kept: tuple[int, bytes] = (-1, b"")
        self.size = self._starts[-1]

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes from `at`, at most to the end of their frame; empty at the end. Raises Damaged."""
        if at >= self.size:
            return b""
        number = bisect_right(self._starts, at) - 1
        if self._kept[0] != number:
            self._kept = (number, self._frame(number))
        begin = at - self._starts[number]
        return self._kept[1][begin : begin + count]

    def close(self) -> None:
        """Closes the descriptor."""
        self._file.close()

    def _frame(self, number: int) -> bytes:
        place, whole = self._places[number], self._starts[number + 1] - self._starts[number]
        data = os.pread(self._file.fileno(), self._places[number + 1] - place, place)
        try:
            if zstandard.frame_content_size(data) != whole:
                raise Damaged(f"frame {number} of a packed log does not say that it holds {whole} bytes")
            found = zstandard.ZstdDecompressor().decompress(data, max_output_size=whole)
        except zstandard.ZstdError as error:
            raise Damaged(f"frame {number} of a packed log: {error}") from None
        if len(found) != whole:
            raise Damaged(f"frame {number} of a packed log holds {len(found)} bytes, not {whole}")
        return found

    def _table(self) -> list[tuple[int, int]]:
        """(packed size, whole size) of each frame."""
        handle = self._file.fileno()
        end = os.fstat(handle).st_size
        footer = os.pread(handle, _FOOTER.size, max(0, end - _FOOTER.size))
        if len(footer) != _FOOTER.size:
            raise Damaged("a packed log without its table")
        count, flags, magic = _FOOTER.unpack(footer)
        width = _ENTRY.size + (4 if flags & _CHECKSUM else 0)
        begin = end - _FOOTER.size - count * width
        if magic != _SEEKABLE or count > _MOST_FRAMES or begin < 8:
            raise Damaged("a packed log without its table")
        data = os.pread(handle, count * width, begin)
        sizes = [_ENTRY.unpack_from(data, at * width) for at in range(count)]
        if sum(packed for packed, _ in sizes) > begin or any(whole > 64 * BLOCK for _, whole in sizes):
            raise Damaged("a packed log with a table that does not fit")
        return sizes
