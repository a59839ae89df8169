"""git's tree objects: entries to bytes and back."""

from __future__ import annotations

from collections.abc import Iterable

from citgit.errors import Bug, Errored
from citgit.interfaces import Entry

_MODES = frozenset({0o100644, 0o100755, 0o120000, 0o040000, 0o160000})


def tree_bytes(entries: Iterable[Entry]) -> bytes:
    """git's form of a tree. Raises Bug for names or modes that git does not allow, or a name that comes twice."""
    chosen = list(entries)
    if len({entry.name for entry in chosen}) != len(chosen):
        raise Bug("a tree holds one name twice")
    for entry in chosen:
        if entry.mode not in _MODES or entry.name in ("", ".", "..", ".git") or _leaves(entry.name):
            raise Bug(f"not an entry of a tree: {entry.mode:o} {entry.name!a}")
    # git sorts a folder as if its name ended in a slash
    chosen.sort(key=lambda entry: _raw(entry.name) + (b"/" if entry.mode == 0o040000 else b""))
    return b"".join(b"%o %s\0%s" % (each.mode, _raw(each.name), bytes.fromhex(each.oid)) for each in chosen)


def _leaves(name: str) -> bool:
    return "/" in name or "\0" in name


def parse_tree(data: bytes) -> list[Entry]:
    """The entries of a tree's bytes; names that are not UTF-8 keep their bytes as surrogates. Raises Errored."""
    entries: list[Entry] = []
    at = 0
    while at < len(data):
        end = data.find(b"\0", at)
        mode, space, name = data[at:end].partition(b" ")
        if end < 0 or not space or len(data) < end + 21 or not mode.isdigit() or mode.strip(b"01234567"):
            raise Errored("a tree object is malformed")
        entries.append(Entry(name.decode("utf-8", "surrogateescape"), int(mode, 8), data[end + 1 : end + 21].hex()))
        at = end + 21
    return entries


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
