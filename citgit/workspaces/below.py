"""Files below a folder that somebody else may have filled: opened name by name, no link followed, nothing but files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from citgit.errors import Errored

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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


def inside(top: Path, path: str) -> Path:
    """Where a relative path leads below `top`, or `top` for ".". Raises Errored if a link there leads out of it."""
    if path == ".":
        return top
    target = top / path
    if target.is_symlink() or not target.parent.resolve().is_relative_to(top.resolve()):
        raise Errored(f"a link leads {path!r} out of the workspace")
    return target
