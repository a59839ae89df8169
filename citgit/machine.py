"""The one module that is specific to the platform: clocks, randomness, the boot, facts about processes."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import random
import secrets
import struct
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Unix seconds."""
        return int(time.time())

    def monotonic(self) -> float:
        """Seconds on a clock that never steps."""
        return time.monotonic()

    def boottime(self) -> float:
        """Seconds that count while the machine sleeps too."""
        if sys.platform == "linux":
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()  # on macOS it counts sleep already (mach_continuous_time is not offered)

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(max(0.0, seconds))


class SystemEntropy:
    """The machine's randomness."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def nonce(self) -> str:
        """128 random bits as 32 hex digits."""
        return secrets.token_hex(16)

    def build_id(self) -> str:
        """A new UUIDv7."""
        import uuid_utils

        return str(uuid_utils.uuid7())

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        return self._random.uniform(low, high)


def boot_id() -> str:
    """What names this boot of the machine, as 32 hex digits: no process of another boot can still run."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        import psutil

        return f"{int(psutil.boot_time()):032x}"


def process_start(pid: int) -> str | None:
    """What tells a process from a later one of the same number; None if there is none."""
    import psutil

    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return None


def system() -> str:
    """The operating system as job requirements name it: "linux", "macos", "windows"."""
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)


def cpus() -> int:
    """The processors that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> int:
    """The machine's memory in bytes."""
    import psutil

    return int(psutil.virtual_memory().total)


def owned(path: Path) -> bool:
    """Whether the path belongs to the user whom this process runs as."""
    return path.stat().st_uid == os.geteuid()


def lock(path: Path) -> int | None:
    """Takes the lock file for this process's life; its descriptor, None if another process has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


# linux/inotify.h: a name was made, renamed into place, or removed; the folder itself is gone; events were lost
_CREATE, _MOVED_TO, _MOVED_FROM, _DELETE, _IS_FOLDER, _OVERFLOW = 0x100, 0x80, 0x40, 0x200, 0x40000000, 0x4000
_EVENT = struct.Struct("iIII")


class FolderEvents:
    """Wakes when names change in some folders, or in any folder below them; a Waker (`citgit.interfaces`).

    `alone` are watched without what is below them. `counts` says which names matter. Where the system offers no such
    events, or no more of them, `fileno` is -1.
    """

    def __init__(self, alone: Sequence[Path], below: Sequence[Path], counts: Callable[[Path], bool]) -> None:
        self._alone, self._below, self._counts = list(alone), list(below), counts
        self._folders: dict[int, Path] = {}
        self._lost = self._all = False
        self._handle = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._handle = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            self._watch_all()

    def fileno(self) -> int:
        """Readable when there is something to drain."""
        return -1 if self._lost else self._handle

    def drain(self) -> bool:
        """Whether a name that matters changed since the last time."""
        names = self.names()
        return names is None or bool(names)

    def names(self) -> set[Path] | None:
        """The names that matter and changed since the last time; None if it may be any."""
        self._all, found = self._all or self._lost, set[Path]()
        while self._handle >= 0:
            try:
                data = os.read(self._handle, 1 << 16)
            except BlockingIOError:
                break
            start = 0
            while start < len(data):
                number, mask, _, size = _EVENT.unpack_from(data, start)
                start += _EVENT.size + size
                self._happened(number, mask, os.fsdecode(data[start - size : start].rstrip(b"\0")), found)
        everything, self._all = self._all, False
        return None if everything else found

    def close(self) -> None:
        """Ends the watch."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1

    def _happened(self, number: int, mask: int, name: str, found: set[Path]) -> None:
        folder = self._folders.get(number)
        if mask & _OVERFLOW:
            self._watch_all()
            self._all = True
        elif folder is None or not name:
            return
        elif not mask & _IS_FOLDER:
            path = folder / name
            if self._counts(path):
                found.add(path)
        elif mask & (_CREATE | _MOVED_TO):
            # what came into it before it was watched has no event of its own
            path = folder / name
            self._watch_all()
            near = any(place == path or place in path.parents or path in place.parents for place in self._below)
            self._all = self._all or near

    def _watch_all(self) -> None:
        for folder in self._alone:
            self._watch(folder)
        for top in self._below:
            for place, _, _ in os.walk(top):
                self._watch(Path(place))

    def _watch(self, folder: Path) -> None:
        number = self._libc.inotify_add_watch(
            self._handle, os.fsencode(folder), _CREATE | _MOVED_TO | _MOVED_FROM | _DELETE
        )
        if number >= 0:
            self._folders[number] = folder
        elif ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            self._lost = True
