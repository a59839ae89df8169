"""A pack of whole objects, as bytes: one synced file instead of many."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection

_TYPES = {"commit": 1, "tree": 2, "blob": 3}


def pack(objects: Collection[tuple[str, bytes]]) -> bytes:
    """The pack of these (kind, data), without deltas."""
    parts = [b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big")]
    for kind, data in objects:
        parts += [_head(_TYPES[kind], len(data)), zlib.compress(data, 1)]
    whole = b"".join(parts)
    return whole + hashlib.sha1(whole, usedforsecurity=False).digest()


def _head(kind: int, size: int) -> bytes:
    """The type and the size, seven bits a byte, the first holding the type and four bits."""
    first, rest = (kind << 4) | (size & 15), size >> 4
    found = bytearray()
    while rest:
        found.append(first | 0x80)
        first, rest = rest & 0x7F, rest >> 7
    found.append(first)
    return bytes(found)
