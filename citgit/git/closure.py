"""Copies what an object reaches from one store into another that lacks it."""

from __future__ import annotations

from citgit.git.trees import parse_tree
from citgit.interfaces import Objects, Oid
from citgit.records import commit as commits

_FOLDER, _SUBMODULE = 0o040000, 0o160000

LARGEST = 1 << 26
"""Bytes of the largest object that this protocol writes: a day of an archive."""


def copy(source: Objects, target: Objects, oid: Oid) -> None:
    """What `oid` reaches is in `target` afterwards. Raises NotFound if `source` lacks a part of it.

    An object that is in `target` is taken to be there with all that it reaches, as a git repository keeps it.
    """
    pending, seen = [oid], set()
    order = []
    while pending:
        each = pending.pop()
        if each not in seen and not target.has(each):
            seen.add(each)
            kind, data = source.read(each, limit=LARGEST)
            order.append((kind, data))
            pending += [one for one, _ in links(kind, data)]
    with target.group():
        # the deepest first: a copy that is cut off leaves nothing that names what is not there
        for kind, data in reversed(order):
            target.write(kind, data)


def links(kind: str, data: bytes) -> list[tuple[Oid, bool]]:
    """What an object names, and whether that names more: a commit its tree and parents, a tree its entries.

    Not the commits of submodules, which are elsewhere.
    """
    if kind == "tree":
        return [(one.oid, one.mode == _FOLDER) for one in parse_tree(data) if one.mode != _SUBMODULE]
    if kind == "commit":
        tree, parents = commits.links(data)
        return [(oid, True) for oid in (tree, *parents) if oid]
    return []
