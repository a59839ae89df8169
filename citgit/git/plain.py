"""Checks a plain tree out without git: what most revisions of most projects hold, in a tenth of the time.

Plain is what leaves git nothing to decide: few files, usual names, no attributes, no submodules. All else is git's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from citgit.errors import Refused
from citgit.interfaces import Objects, Oid
from citgit.model.pattern import pattern

_MOST_FILES = 300
_MOST_BYTES = 4 << 20
# No name that a file system may fold into `.git`, and none that means something to git itself.
_NAME = pattern(r"\.?[A-Za-z0-9_][A-Za-z0-9_.+=@,-]*")
_SPECIAL = pattern(r"(?i)\.git($|attributes|modules)|.*[.]lock")
_FILE, _PROGRAM, _LINK, _FOLDER = 0o100644, 0o100755, 0o120000, 0o040000

CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
"""What `git init` writes."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to be written: its path, its mode as git has it, its content."""

    path: str
    mode: int
    oid: Oid
    data: bytes


def plain_files(objects: Objects, tree: Oid) -> list[File] | None:
    """The files of a tree; None if it is not plain. Raises NotFound, Errored."""
    try:
        return _read(objects, _named(objects, tree))
    except Refused:
        # beyond what is read at once: that is for git to write
        return None


def _named(objects: Objects, tree: Oid) -> list[tuple[str, int, Oid]] | None:
    named: list[tuple[str, int, Oid]] = []
    folders = [("", tree)]
    while folders:
        path, oid = folders.pop()
        seen: set[str] = set()
        for entry in objects.tree(oid):
            if not _NAME.fullmatch(entry.name) or _SPECIAL.fullmatch(entry.name) or entry.name.lower() in seen:
                return None
            seen.add(entry.name.lower())
            if entry.mode == _FOLDER:
                folders.append((f"{path}{entry.name}/", entry.oid))
            elif entry.mode in (_FILE, _PROGRAM, _LINK) and len(named) < _MOST_FILES:
                named.append((path + entry.name, entry.mode, entry.oid))
            else:
                return None
    return named


def _read(objects: Objects, named: Iterable[tuple[str, int, Oid]] | None) -> list[File] | None:
    if named is None:
        return None
    found, size = [], 0
    for path, mode, oid in named:
        kind, data = objects.read(oid, limit=_MOST_BYTES - size)
        size += len(data)
        if kind != "blob" or (mode == _LINK and (not data or b"\0" in data)):
            return None
        found.append(File(path, mode, oid, data))
    return found


def write_files(target: Path, files: Iterable[File]) -> bytes:
    """Writes the files below the new folder `target`; the index that git would have made. Raises OSError."""
    top = str(target)
    entries = []
    made = {""}
    for file in sorted(files, key=lambda one: one.path.encode()):
        folder = file.path.rpartition("/")[0]
        if folder not in made:
            os.makedirs(f"{top}/{folder}", exist_ok=True)
            made.add(folder)
        path = f"{top}/{file.path}"
        if file.mode == _LINK:
            os.symlink(file.data, os.fsencode(path))
        else:
            rights = 0o777 if file.mode == _PROGRAM else 0o666
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, rights)
            with os.fdopen(handle, "wb", buffering=0) as stream:
                stream.write(file.data)
        entries.append(_entry(file, os.lstat(path)))
    body = b"DIRC" + (2).to_bytes(4, "big") + len(entries).to_bytes(4, "big") + b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _entry(file: File, about: os.stat_result) -> bytes:
    """An entry of git's index, version 2: times, place, mode, owner, size, object, name, padded to eight bytes."""
    numbers = (
        about.st_ctime_ns // 10**9, about.st_ctime_ns % 10**9, about.st_mtime_ns // 10**9, about.st_mtime_ns % 10**9,
        about.st_dev, about.st_ino, file.mode, about.st_uid, about.st_gid, about.st_size,
    )  # fmt: skip
    name = file.path.encode()
    made = b"".join((number & 0xFFFFFFFF).to_bytes(4, "big") for number in numbers)
    made += bytes.fromhex(file.oid) + min(len(name), 0xFFF).to_bytes(2, "big") + name
    return made + b"\0" * (8 - len(made) % 8)
