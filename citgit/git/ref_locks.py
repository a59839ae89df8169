"""Locks as git knows them (a file NAME.lock), taken so that those of a killed citgit are known to be stale.

Each lock is a hard link to this process's marker file, which the process keeps locked in the kernel for as long as
it lives. git sees a lock like any other. We see more: a lock with our marker's text whose kernel lock is free was
left by a citgit that is dead, and is removed. Locks of git's own are never touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

_TEXT = b"a citgit process holds this lock\n"
_STEPS = (0.001, 0.002, 0.004, 0.008, 0.016)


class Locks:
    """Takes locks in one repository; its marker and scratch files are in `directory`, on the same file system."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._marker: tuple[int, str, int] | None = None

    def take(self, path: str, patience: float = 1.0) -> None:
        """Makes `path`, in a folder that exists, or waits for it. Raises FileExistsError after `patience` seconds."""
        marker = self._own_marker()
        until, step = time.monotonic() + patience, 0
        while True:
            try:
                os.link(marker, path)
                return
            except FileExistsError:
                if _is_stale(path):
                    continue
                if time.monotonic() > until:
                    raise
                time.sleep(_STEPS[min(step, len(_STEPS) - 1)])
                step += 1

    def release(self, path: str) -> None:
        """Gives a lock back."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def scratch(self) -> tuple[int, str]:
        """A new file to be renamed into the repository once it is whole. Raises OSError."""
        path = f"{self.directory}/new.{os.urandom(8).hex()}"
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), path

    def _own_marker(self) -> str:
        if self._marker is not None and self._marker[2] == os.getpid() and os.path.exists(self._marker[1]):
            return self._marker[1]
        if self._marker is not None and self._marker[2] == os.getpid():
            os.close(self._marker[0])
        self.directory.mkdir(exist_ok=True)
        self._sweep()
        path = f"{self.directory}/alive.{os.getpid()}.{os.urandom(4).hex()}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.write(handle, _TEXT)
        self._marker = handle, path, os.getpid()
        return path

    def _sweep(self) -> None:
        """Removes what dead processes left: their markers, and scratch files an hour old."""
        for path in self.directory.iterdir():
            with contextlib.suppress(OSError):
                if path.name.startswith("alive."):
                    _is_stale(str(path))
                elif time.time() - path.stat().st_mtime > 3600:
                    path.unlink()

    def __del__(self) -> None:
        if self._marker is not None and self._marker[2] == os.getpid():
            with contextlib.suppress(OSError):
                os.unlink(self._marker[1])
            with contextlib.suppress(OSError):
                os.close(self._marker[0])


def _is_stale(path: str) -> bool:
    """Whether the lock is gone, or was left by a dead citgit and is removed now."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        if os.pread(handle, len(_TEXT) + 1, 0) != _TEXT:
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # whoever else found it stale too may have removed it, and another have taken it since
        if os.path.samestat(os.fstat(handle), os.stat(path, follow_symlinks=False)):
            os.unlink(path)
        return True
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    finally:
        os.close(handle)
