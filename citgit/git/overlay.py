"""Objects that somebody offers, in memory over a store: looked at as if they were there, stored when wanted."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from citgit.errors import Refused
from citgit.git.trees import parse_tree, tree_bytes
from citgit.interfaces import Entry, Objects, Oid
from citgit.records.commit import oid_of


class Overlay:
    """`offered` (kind, bytes) over `store`; what is written stays in memory."""

    def __init__(self, store: Objects, offered: Iterable[tuple[str, bytes]] = ()) -> None:
        self._store = store
        self._offered = {oid_of(kind, data): (kind, data) for kind, data in offered}

    def __contains__(self, oid: Oid) -> bool:
        """Whether the object was offered."""
        return oid in self._offered

    def read(self, oid: Oid, *, limit: int = 1 << 24) -> tuple[str, bytes]:
        """Type and bytes. Raises NotFound, Refused."""
        if oid not in self._offered:
            return self._store.read(oid, limit=limit)
        kind, data = self._offered[oid]
        if len(data) > limit:
            raise Refused(f"object {oid[:12]} is too large: {len(data)} bytes, the limit is {limit}")
        return kind, data

    def has(self, oid: Oid) -> bool:
        """Whether the object is here."""
        return oid in self._offered or self._store.has(oid)

    def write(self, kind: str, data: bytes) -> Oid:
        """Adds to what is offered."""
        oid = oid_of(kind, data)
        self._offered[oid] = kind, data
        return oid

    def group(self) -> AbstractContextManager[None]:
        """Nothing is durable here."""
        return nullcontext()

    def tree(self, oid: Oid) -> list[Entry]:
        """The entries of a tree. Raises NotFound, Errored."""
        return parse_tree(self._offered[oid][1]) if self._is_tree(oid) else self._store.tree(oid)

    def _is_tree(self, oid: Oid) -> bool:
        return oid in self._offered and self._offered[oid][0] == "tree"

    def write_tree(self, entries: Iterable[Entry]) -> Oid:
        """Adds a tree to what is offered."""
        return self.write("tree", tree_bytes(entries))
