"""The files by which an attempt outlives its worker.

All are in the attempt's directory: `begun` (written before the command is started), `alive` (locked by the shim,
holds its pid and those of its helpers), `exit` ("STATUS end", a placeholder before), `usage`, `stop` (why it has
to end, since when), `error` (why it could not run), `ended` (the final answer), `log/`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from citgit.errors import CitError, Errored, NodeFull
from citgit.model.pattern import pattern
from citgit.model.plan import Ended

_EXIT = pattern(rb"([0-9]{1,3}) end\n")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_PLACEHOLDER = b" " * 15 + b"\n"
_T = TypeVar("_T")


def boottime() -> float:
    """Seconds that go on while the machine sleeps and restart with it only."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@functools.cache
def boot_id() -> str:
    """What tells this boot of the machine from others; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """When the attempt was started: unix ms, and seconds of boottime in that boot."""

    time: int
    boottime: float
    boot: str


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """That the attempt has to end: why, which limit it broke ("" for none), since when (boottime)."""

    why: str
    limit: str = ""
    boottime: float


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What the shim left: the status as the shell has it, and when (unix ms)."""

    status: int
    ended: int


def cannot(what: str, fault: OSError) -> CitError:
    """The error for a system call that failed while doing `what`."""
    kind = NodeFull if fault.errno in _FULL else Errored
    return kind(f"cannot {what}: {fault.strerror}", hint="`cit doctor` looks at the node's disk and limits")


class Attempt:
    """The directory of one attempt, as files with a meaning."""

    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        self._base = f"{directory}/"
        self.log = self.directory / "log"
        self.secrets = self.directory / "secrets"
        self._begun: Begun | None = None

    def begin(self, *, shim: bool = False) -> int | None:
        """Marks the attempt as begun and returns the descriptor that holds its lock; None if it had begun before.

        With a `shim`, an attempt that is `silent` begins now.
        Raises Errored or NodeFull if the directory cannot be written.
        """
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            lock = os.open(self._base + "alive", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.exists(self._base + "begun") and not (shim and self._said_nothing()):
                    raise BlockingIOError
                with open(self._base + "exit", "wb") as file:
                    file.write(_PLACEHOLDER)
                now = Begun(time=time.time_ns() // 10**6, boottime=boottime(), boot=boot_id())
                self._write("begun", msgspec.json.encode(now))
                self._begun = now
            except BaseException:
                os.close(lock)
                raise
        except BlockingIOError:
            return None
        except OSError as fault:
            raise cannot(f"begin the attempt in '{self.directory}'", fault) from fault
        return lock

    def begun(self) -> Begun | None:
        """When it was started; None if it never was."""
        self._begun = self._begun or self._read("begun", Begun)
        return self._begun

    def age(self, begun: Begun) -> float:
        """Seconds since it was started; 0 if that was in another boot."""
        return max(0.0, boottime() - begun.boottime) if begun.boot == boot_id() else 0.0

    def is_alive(self) -> bool:
        """Whether the shim runs: it holds the lock, which no reused pid can fake."""
        try:
            lock = os.open(self._base + "alive", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def is_silent(self) -> bool:
        """Whether it was marked as begun, and no shim lives or ever said who it is, which it does first of all.

        Then nothing was started: the worker died in between.
        """
        return self._said_nothing() and not self.is_alive()

    def _said_nothing(self) -> bool:
        begun = self.begun()
        if begun is None or begun.boot != boot_id() or self.left() is not None or self.stop() is not None:
            return False  # after another boot an empty file tells nothing: it may not have reached the disk
        try:
            return (self.directory / "alive").stat().st_size == 0
        except FileNotFoundError:
            return True

    def watchers(self) -> tuple[int, ...]:
        """The pids of the shim and its two helpers while it is alive; empty if not, or if it has not said so yet."""
        if not self.is_alive():
            # Once the lock is free the pids may be anybody's.
            return ()
        with open(self._base + "alive", "rb", buffering=0) as file:
            words = file.read().split()
        return tuple(int(word) for word in words) if len(words) == 3 else ()

    def left(self) -> Left | None:
        """How the command ended, once that is written completely."""
        try:
            with open(self._base + "exit", "rb") as file:
                found = _EXIT.match(file.read(16))
                ended = os.fstat(file.fileno()).st_mtime_ns // 10**6
        except FileNotFoundError:
            return None
        return Left(status=int(found[1]), ended=ended) if found else None

    def leave(self, status: int, error: str) -> None:
        """Writes the end of an attempt whose command could not be run, in the shim's place."""
        self._write("error", error.encode())
        (self.directory / "exit").write_bytes(f"{status} end\n".encode())

    def error(self) -> str:
        """Why the command could not be run; empty if it could."""
        try:
            with open(self._base + "error") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def shut_parts(self) -> None:
        """Leaves the log without parts: a build writes those itself, and nothing would be masked in them."""
        shutil.rmtree(self.log / "parts", ignore_errors=True)

    def forget(self, paths: Iterable[Path]) -> None:
        """Removes files that hold secrets, once whoever needs them has opened them. Raises OSError."""
        for path in paths:
            path.unlink(missing_ok=True)

    def stop(self) -> Stop | None:
        """Whether it was asked to end."""
        return self._read("stop", Stop)

    def ask_to_stop(self, why: str, limit: str = "") -> bool:
        """Keeps the first reason to end; False if there was one already."""
        if self.stop() is not None:
            return False
        self._write("stop", msgspec.json.encode(Stop(why=why, limit=limit, boottime=boottime())))
        return True

    def ended(self) -> Ended | None:
        """The final answer, if it was given before."""
        return self._read("ended", Ended)

    def keep(self, ended: Ended) -> None:
        """Keeps the final answer."""
        self._write("ended", msgspec.json.encode(ended))

    def _read(self, name: str, kind: type[_T]) -> _T | None:
        try:
            with open(self._base + name, "rb", buffering=0) as file:
                return msgspec.json.decode(file.read(), type=kind)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as fault:
            raise Errored(
                f"damaged file '{self.directory / name}': {fault}",
                hint="retry the build; this attempt cannot be judged",
            ) from fault

    def _write(self, name: str, data: bytes) -> None:
        """Appears whole or not at all."""
        fresh = f"{self._base}.{name}.new"
        try:
            with open(fresh, "wb") as file:
                file.write(data)
            os.replace(fresh, self._base + name)
        except OSError as fault:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise cannot(f"write '{self.directory / name}'", fault) from fault
