"""Which objects the other end lacks: from a tip down to what it is known to have, each commit against its parent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from citgit.errors import CitError, Refused, TryAgain
from citgit.interfaces import EMPTY_TREE, Entry, Objects, Oid
from citgit.model.names import is_oid
from citgit.records import commit as commits
from citgit.ssh.frames import BODY_LIMIT
from citgit.ssh.messages import MOST_OBJECTS, Parcel

_FOLDER, _SUBMODULE = 0o040000, 0o160000
_FARTHEST = 50_000
_DEEPEST_TREE = 50


class TooMuch(TryAgain):
    """More than the channel carries; git does it better."""


class Known:
    """Commits that the other end has whole; the oldest are forgotten, which costs a repetition and nothing else."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._oids: dict[bytes, None] = {}

    def add(self, oid: Oid) -> None:
        """Remembers a commit."""
        self._oids[bytes.fromhex(oid)] = None
        if len(self._oids) > self._most:
            del self._oids[next(iter(self._oids))]

    def __contains__(self, oid: Oid) -> bool:
        return is_oid(oid) and bytes.fromhex(oid) in self._oids


def walk(objects: Objects, tip: Oid, stop: Callable[[Oid], bool]) -> Iterator[tuple[str, Oid]]:
    """(kind, oid) of what `tip` reaches, newest first, without commits at which to `stop` and what lies behind them.

    An object that is not here is named and not followed. Raises TooMuch.
    """
    pending, seen = [tip], set[Oid]()
    while pending:
        oid = pending.pop()
        if oid in seen or stop(oid):
            continue
        seen.add(oid)
        yield "commit", oid
        tree, parents = _links(objects, oid)
        before = _links(objects, parents[0])[0] if parents else ""
        for kind, below in _new_in(objects, tree, before):
            if below not in seen:
                seen.add(below)
                yield kind, below
        if len(seen) > _FARTHEST:
            raise TooMuch(f"{tip[:12]} reaches too many objects")
        pending += parents


def packed(objects: Objects, oids: list[tuple[str, Oid]]) -> tuple[list[Parcel], list[bytes]]:
    """Those objects for a body, what is named comes before what names it. Raises NotFound, TooMuch."""
    parcels: list[Parcel] = []
    contents: list[bytes] = []
    size = 0
    for _, oid in reversed(oids):
        kind, data = carried(objects, oid)
        size += len(data)
        if size > BODY_LIMIT or len(parcels) == MOST_OBJECTS:
            raise TooMuch(f"{len(oids)} objects are too much for one message")
        parcels.append((kind, len(data)))
        contents.append(data)
    return parcels, contents


def carried(objects: Objects, oid: Oid) -> tuple[str, bytes]:
    """Kind and bytes of an object that one body holds. Raises NotFound, TooMuch."""
    try:
        return objects.read(oid, limit=BODY_LIMIT)
    except Refused as error:
        raise TooMuch(error.message) from error


def _links(objects: Objects, oid: Oid) -> tuple[Oid, list[Oid]]:
    """The tree and the parents of a commit; nothing if it is not here, or is none."""
    try:
        kind, data = objects.read(oid)
    except CitError:
        return "", []
    if kind != "commit":
        return "", []
    tree, parents = commits.links(data)
    return tree, list(parents)


def _new_in(objects: Objects, tree: Oid, before: Oid, depth: int = 0) -> Iterator[tuple[str, Oid]]:
    """The trees and files of one tree that another one does not have in the same place."""
    if tree in ("", EMPTY_TREE, before):
        return
    if depth > _DEEPEST_TREE:
        raise TooMuch(f"tree {tree[:12]} is more than {_DEEPEST_TREE} folders deep")
    yield "tree", tree
    old = {entry.name: entry for entry in _entries(objects, before)}
    for entry in _entries(objects, tree):
        other = old.get(entry.name)
        if (other and other.oid == entry.oid) or entry.mode == _SUBMODULE:
            continue
        if entry.mode == _FOLDER:
            yield from _new_in(objects, entry.oid, other.oid if other and other.mode == _FOLDER else "", depth + 1)
        else:
            yield "blob", entry.oid


def _entries(objects: Objects, tree: Oid) -> list[Entry]:
    """The entries of a tree; none if it is not here, or is none."""
    try:
        return objects.tree(tree) if tree not in ("", EMPTY_TREE) else []
    except CitError:
        return []
