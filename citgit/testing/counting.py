"""An object store that counts what is read of it: bounded reading is shown by counts, not by time."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager

from citgit.interfaces import Entry, Objects, Oid


class CountingObjects:
    """`objects`, and how many of them were read, and how many bytes."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.reads = 0
        self.bytes = 0

    def clear(self) -> None:
        """Starts counting anew."""
        self.reads = self.bytes = 0

    def read(self, oid: Oid, *, limit: int = 1 << 24) -> tuple[str, bytes]:
        """As the store, counted."""
        kind, data = self._objects.read(oid, limit=limit)
        self.reads += 1
        self.bytes += len(data)
        return kind, data

    def has(self, oid: Oid) -> bool:
        """As the store."""
        return self._objects.has(oid)

    def write(self, kind: str, data: bytes) -> Oid:
        """As the store."""
        return self._objects.write(kind, data)

    def group(self) -> AbstractContextManager[None]:
        """As the store."""
        return self._objects.group()

    def tree(self, oid: Oid) -> list[Entry]:
        """As the store, counted."""
        found = self._objects.tree(oid)
        self.reads += 1
        self.bytes += sum(len(one.name) + 27 for one in found)
        return found

    def write_tree(self, entries: Iterable[Entry]) -> Oid:
        """As the store."""
        return self._objects.write_tree(entries)
