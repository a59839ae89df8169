"""Changes of refs in a repository on this machine, from the kernel: a hint within a millisecond, never needed."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from pathlib import Path

_CREATE, _DELETE, _MOVED_TO, _MOVED_FROM = 0x100, 0x200, 0x80, 0x40
_IGNORED, _OVERFLOW, _IS_DIR, _ONLY_DIR = 0x8000, 0x4000, 0x40000000, 0x01000000
# libgit2 makes new refs by linking, which is a creation; git renames its lock files.
_WANTED = _CREATE | _MOVED_TO | _ONLY_DIR
_EVENT = struct.Struct("iIII")
# What a clone remembers changes by our own doing.
_NOT_WATCHED = "refs/cit-seen"

EVERYTHING = "*"
"""Stands for all refs, when the kernel cannot say which."""


class RefWatch:
    """Watches the refs of the repository whose common directory is `place`; a file descriptor to wait for.

    `deletions` are told too, if they are asked for: who only waits for work does not care.
    """

    def __init__(self, place: Path, *, deletions: bool = False) -> None:
        self._place = place
        self._wanted = _WANTED | (_DELETE | _MOVED_FROM if deletions else 0)
        self._short = False
        self._folders: dict[int, str] = {}
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._handle: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC) if self._libc else -1
        self._begin()

    def fileno(self) -> int:
        """The descriptor that becomes readable; -1 if this system has no such thing."""
        return self._handle

    @property
    def works(self) -> bool:
        """Whether changes will be heard of."""
        return bool(self._folders)

    @property
    def whole(self) -> bool:
        """Whether every change will be heard of: the system may be out of watches."""
        return self.works and not self._short

    def drain(self) -> set[str]:
        """The refs that changed since it was last asked; empty if none did."""
        changed: set[str] = set()
        while self._handle >= 0:
            try:
                content = os.read(self._handle, 65536)
            except BlockingIOError:
                break
            at = 0
            while at < len(content):
                folder, mask, _, length = _EVENT.unpack_from(content, at)
                name = content[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
                at += _EVENT.size + length
                changed |= self._take(folder, mask, os.fsdecode(name))
        if not self._folders:
            # the repository was not there, or was put elsewhere
            self._begin()
        return changed

    def close(self) -> None:
        """Gives the descriptor back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _begin(self) -> None:
        if self._handle >= 0 and self._add("") is not None:
            self._add_tree("refs")

    def _take(self, folder: int, mask: int, name: str) -> set[str]:
        if mask & _OVERFLOW:
            self._add_tree("refs")
            return {EVERYTHING}
        where = self._folders.get(folder)
        if mask & _IGNORED or where is None:
            self._folders.pop(folder, None)
            return set()
        if where == "":
            return {EVERYTHING} if name == "packed-refs" else set()
        path = f"{where}/{name}"
        if mask & _IS_DIR and mask & (_DELETE | _MOVED_FROM):
            return {EVERYTHING}
        if mask & _IS_DIR:
            return self._add_tree(path)
        return set() if name.endswith(".lock") else {path}

    def _add(self, path: str) -> int | None:
        assert self._libc is not None
        found = int(self._libc.inotify_add_watch(self._handle, os.fsencode(self._place / path), self._wanted))
        if found < 0:
            self._short = self._short or ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR)
            return None
        self._folders[found] = path
        return found

    def _add_tree(self, path: str) -> set[str]:
        """Watches a folder and those below it; the refs that are in it by now."""
        if path == _NOT_WATCHED or self._add(path) is None:
            return set()
        found: set[str] = set()
        try:
            entries = list(os.scandir(self._place / path))
        except OSError:
            return found
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found |= self._add_tree(f"{path}/{entry.name}")
            elif not entry.name.endswith(".lock"):
                found.add(f"{path}/{entry.name}")
        return found
