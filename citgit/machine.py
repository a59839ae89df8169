"""The one module that is specific to the platform: clocks, randomness, the boot, facts about processes."""

from __future__ import annotations

import fcntl
import os
import sys
import time
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

    def nonce(self) -> str:
        """128 random bits as 32 hex digits."""
        return os.urandom(16).hex()

    def build_id(self) -> str:
        """A new UUIDv7."""
        import uuid_utils

        return str(uuid_utils.uuid7())

    def uniform(self, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        return low + (high - low) * int.from_bytes(os.urandom(7)) / 2**56


def boot_id() -> str:
    """What names this boot of the machine, as 32 hex digits: no process of another boot can still run."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    except OSError:
        import psutil

        return f"{int(psutil.boot_time()):032x}"


def process_start(pid: int) -> str | None:
    """What tells a process from a later one of the same number; None if there is none, or it has ended.

    One that has ended keeps its number until its parent asks for its status. Orphans have parents that may never
    do: the first process of a container, or whoever else made itself their reaper.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
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
