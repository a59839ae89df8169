"""Hands a workspace to another user as a tar stream, and takes back what that user's build left for the log.

A checkout borrows its objects from the node's mirror, which that user must not read: the stream holds a copy of them.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

_ALTERNATES = "objects/info/alternates"
_MOST_FILES = 50_000
_MOST_WORDS = 1 << 16
_DEEPEST = 5
_MOST_DEEP = 32
"""Folders below each other in the parts of a log: two for each of its levels."""

_SAFE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def send(workspace: Path, tools: Path, stream: IO[bytes]) -> None:
    """Writes `workspace` as `work/`, and `tools` as `tools/`. Raises OSError."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        archive.add(workspace, "work", filter=_plain)
        for lent in _lent(workspace):
            for store in _stores(lent, _DEEPEST):
                target = Path("work") / lent.relative_to(workspace).parent.parent
                for path in _objects(store):
                    with contextlib.suppress(FileNotFoundError):  # packed meanwhile: the pack comes after it
                        archive.add(store / path, str(target / path), recursive=False, filter=_plain)
        archive.add(tools, "tools", filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if member.name.endswith(f".git/{_ALTERNATES}"):
        return None
    # the worker reads the results, and is another user
    member.mode |= 0o755 if member.isdir() else 0o644
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _lent(workspace: Path) -> Iterator[Path]:
    for folder, _, _ in os.walk(workspace):
        path = Path(folder, ".git", _ALTERNATES)
        if path.is_file():
            yield path


def _stores(alternates: Path, deep: int) -> Iterator[Path]:
    """The object directories that the file names, and those that they borrow from."""
    if not deep or not alternates.is_file():
        return
    for line in alternates.read_text().splitlines():
        yield Path(line)
        yield from _stores(Path(line) / "info" / "alternates", deep - 1)


def _objects(store: Path) -> Iterator[str]:
    """The loose objects, then the packs: what is packed meanwhile is not missed."""
    folders = sorted(one for one in os.listdir(store) if len(one) == 2)
    for folder in [*folders, "pack"]:
        with contextlib.suppress(FileNotFoundError):
            yield from (f"{folder}/{name}" for name in sorted(os.listdir(store / folder)) if name[:4] != "tmp_")


def words(folder: Path, name: str) -> bytes:
    """The first 64 KiB of a regular file in a folder that somebody else wrote; empty if there is none."""
    try:
        file = os.open(folder / name, _SAFE)
    except OSError:
        return b""
    try:
        return os.read(file, _MOST_WORDS) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)


def take_parts(room: Path, target: Path, limit: int) -> None:
    """Copies regular files of `room`/log/parts to `target`, at most about `limit` bytes. Raises OSError.

    Another user wrote them: no link is followed, whatever its name.
    """
    top = _descend(room, ("log", "parts"))
    if top < 0:
        return
    try:
        left, seen = limit, 0
        for path, folders, files, here in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            place = target / path
            place.mkdir(mode=0o700, exist_ok=True)
            for name in files:
                seen += 1
                if left >= 0 and seen <= _MOST_FILES:
                    left -= _copy(here, name, place / name, left + 1)
            if seen > _MOST_FILES or path.count(os.sep) > _MOST_DEEP:
                folders.clear()
    finally:
        os.close(top)


def _descend(room: Path, names: tuple[str, ...]) -> int:
    """A descriptor of the directory below `room`; -1 if it is none any more."""
    at = os.open(room, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in names:
        try:
            below = os.open(name, _SAFE | os.O_DIRECTORY, dir_fd=at)
        except OSError:
            os.close(at)
            return -1
        os.close(at)
        at = below
    return at


def _copy(folder: int, name: str, target: Path, most: int) -> int:
    try:
        source = os.open(name, _SAFE, dir_fd=folder)
    except OSError:
        return 0
    copied = 0
    try:
        if stat.S_ISREG(os.fstat(source).st_mode):
            with open(target, "wb") as file:
                while copied < most and (block := os.read(source, min(1 << 20, most - copied))):
                    copied += file.write(block)
    finally:
        os.close(source)
    return copied
