"""Files below a folder that somebody else may have filled: opened name by name, no link followed, nothing but files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST = 4096
_LONGEST_NAME = 255

# Git's own files, as disks that fold case or shorten names spell them too.
_RESERVED = frozenset({".git", "git~1"})


def plain_parts(path: str) -> list[str]:
    """The names in a relative path that may be written to; none if it is no plain one, or leads to git's own files."""
    pure = PurePosixPath(path)
    if path != str(pure) or not pure.parts or pure.is_absolute() or not path.isprintable() or len(path) > _LONGEST:
        return []
    return list(pure.parts) if all(is_plain_name(part) for part in pure.parts) else []


def is_plain_name(part: str) -> bool:
    """Whether it is one name of a file or a folder, and none with a meaning of its own."""
    try:
        length = len(part.encode())
    except UnicodeEncodeError:
        return False
    folded = part.casefold().rstrip(". ")
    return 0 < length <= _LONGEST_NAME and "/" not in part and "\0" not in part and folded not in _RESERVED | {""}


@contextmanager
def folder(top: Path, names: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder below `top`, which may be a link itself; made where missing. Raises OSError."""
    handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            below = _enter(handle, name, make)
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def open_file(top: Path, names: Sequence[str]) -> int:
    """A descriptor of the regular file below `top`, for reading. Raises OSError."""
    with folder(top, names[:-1]) as parent:
        handle = os.open(names[-1], _FILE, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", names[-1])
    return handle


def _enter(handle: int, name: str, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=handle)
    except FileNotFoundError:
        if not make:
            raise
        os.mkdir(name, 0o755, dir_fd=handle)
        return os.open(name, _FOLDER, dir_fd=handle)
