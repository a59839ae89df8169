"""Keeps a worker alive where nothing else does: one process per agent, which starts it again with growing pauses."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from citgit.errors import Errored
from citgit.nodes.settings import AgentFiles

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before a worker that ended is started again, by how often it ended soon; the last one stays."""

_LASTED = 60.0
"""Seconds after which a worker's end is no sign of trouble any more."""

_LEAVE = 30.0
"""Seconds that a supervisor has to start or to end in."""

_GRACE = 15.0
"""Seconds that a worker has to end in before it is killed: its builds go on, the next worker adopts them either way."""

_LOG_BYTES = 10 << 20


@dataclass(frozen=True, slots=True)
class Machine:
    """What is asked of the machine: a lock for a process's life, what tells a process from a later one."""

    lock: Callable[[Path], int | None]
    started: Callable[[int], str | None]


@dataclass(slots=True)
class Supervisor:
    """Starts `argv` again and again, its output in the agent's log; HUP wakes it, TERM ends both."""

    files: AgentFiles
    argv: Sequence[str]
    machine: Machine
    grace: float = _GRACE
    pauses: Sequence[float] = PAUSES
    ending: bool = False
    woken: bool = False
    ended: int = 0
    _write: int = field(default=-1)

    def serve(self) -> int:
        """Until TERM; 0, or 75 if another one serves this agent."""
        self.files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = self.machine.lock(self.files.lock)
        if held is None:
            return 75
        read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number, act in ((signal.SIGTERM, self._end), (signal.SIGINT, self._end), (signal.SIGHUP, self._wake)):
            signal.signal(number, act)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        # the worker inherits it: a wake does not end one that is not ready for it yet
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        # only now: whoever reads it may send signals
        os.ftruncate(held, 0)
        os.pwrite(held, f"{os.getpid()} {self.machine.started(os.getpid())}\n".encode(), 0)
        while not self.ending:
            began = time.monotonic()
            self._run(read)
            self.ended = 1 if time.monotonic() - began > _LASTED else self.ended + 1
            if not self.ending:
                self._pause(read, self.pauses[min(self.ended, len(self.pauses)) - 1])
        return 0

    def _run(self, read: int) -> None:
        with open(self.files.log, "ab") as log:
            try:
                # no session of its own: what ends this group ends both; builds have sessions of their own
                process = subprocess.Popen(list(self.argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except OSError as error:
                log.write(f"cannot start the worker: {error}\n".encode())
                return
            told = False
            while (status := process.poll()) is None and not self.ending:
                if self.woken:
                    self.woken, told = False, True
                    process.send_signal(signal.SIGUSR1)
                _wait(read, 60.0)
                _turn(self.files.log)
            if status is None:
                self._leave(process)
            if not self.ending:
                log.write(f"the worker ended with status {status}\n".encode())
                # it may have looked before it was told to, as one does that has just been started
                self.woken = self.woken or told

    def _leave(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(self.grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _pause(self, read: int, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.ending and not self.woken and (left := end - time.monotonic()) > 0:
            _wait(read, left)
        self.woken = False

    def _end(self, number: int, frame: FrameType | None) -> None:
        # no more than that: the worker may be about to be started
        self.ending = True

    def _wake(self, number: int, frame: FrameType | None) -> None:
        self.woken = True


def running(files: AgentFiles, machine: Machine) -> int:
    """The pid of the agent's supervisor; 0 if none runs."""
    try:
        pid, start = files.lock.read_text().split()
    except (OSError, ValueError):
        return 0
    now = machine.started(int(pid))
    if now is None or now == start:
        return int(pid) if now else 0
    # the clock was set meanwhile, or the number is another process's by now
    held = machine.lock(files.lock)
    if held is not None:
        os.close(held)
    return int(pid) if held is None else 0


def start(files: AgentFiles, machine: Machine, argv: Sequence[str], home: Path) -> int:
    """Starts a supervisor in the background, by the command line `argv`; its pid. Raises Errored."""
    if pid := running(files, machine):
        return pid
    files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(files.log, "ab") as log:
        subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home, start_new_session=True)
    return awaited(files, machine)


def awaited(files: AgentFiles, machine: Machine) -> int:
    """The pid of a supervisor that somebody has just started. Raises Errored."""
    end = time.monotonic() + _LEAVE
    while time.monotonic() < end:
        if pid := running(files, machine):
            return pid
        time.sleep(0.02)
    raise Errored("the supervisor did not start", hint=f"its output is in {files.log}")


def stop(files: AgentFiles, machine: Machine) -> bool:
    """Ends the supervisor and the worker; builds go on. Whether there was one. Raises Errored."""
    pid = running(files, machine)
    if not pid:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _LEAVE
    while time.monotonic() < end:
        if not running(files, machine):
            return True
        time.sleep(0.02)
    raise Errored(f"supervisor {pid} does not end", hint=f"look at it: ps -fp {pid}")


def wake(files: AgentFiles, machine: Machine) -> bool:
    """Makes the worker look now, or start now if it waits to be started again; whether there is a supervisor."""
    pid = running(files, machine)
    if pid:
        os.kill(pid, signal.SIGHUP)
    return bool(pid)


def _wait(read: int, seconds: float) -> None:
    import select

    if select.select([read], [], [], max(0.0, seconds))[0]:
        with contextlib.suppress(BlockingIOError):
            os.read(read, 4096)


def _turn(log: Path) -> None:
    """Keeps the log within bounds: its writers append, so it is copied away and emptied."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_BYTES:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
