"""Which processes belong to an attempt, and how to be rid of them: the platform-specific part of the executors.

A process belongs to an attempt if it descends from the shim, is in its session, carries its marker in the
environment, writes to its pipes, or was seen to belong before. One that sheds all of these at once between two looks
escapes; only a PID namespace (`bwrap`) excludes that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

MARKER = "CIT_ATTEMPT"
_TICK = os.sysconf("SC_CLK_TCK")
_ROUND_S = 1.0


@dataclass(frozen=True, slots=True)
class Process:
    """A living process; `started` in seconds of boottime."""

    pid: int
    parent: int
    group: int
    session: int
    started: float


def processes(since: float = 0.0) -> list[Process]:
    """All processes started after `since` (boottime) that are not yet dead."""
    if sys.platform != "linux":
        return _elsewhere()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and (one := _stat(int(name))) and one.started >= since:
            found.append(one)
    return found


def _stat(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            words = file.read(1024).rpartition(b")")[2].split()
        if words[0] in (b"Z", b"X"):
            return None
        return Process(pid, int(words[1]), int(words[2]), int(words[3]), int(words[19]) / _TICK)
    except (OSError, IndexError, ValueError):
        return None


def _elsewhere() -> list[Process]:
    import psutil

    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if one.status() != psutil.STATUS_ZOMBIE:
                found.append(Process(one.pid, one.ppid(), os.getpgid(one.pid), os.getsid(one.pid), 0.0))
    return found


def _environment(pid: int) -> bytes:
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
                return b"\0" + (file.read() or b"") + b"\0"
        except OSError:
            return b""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        return "".join(f"\0{name}={value}" for name, value in psutil.Process(pid).environ().items()).encode() + b"\0"
    return b""


def _writes_to(pid: int, pipes: Collection[str]) -> bool:
    for number in (1, 2):
        try:
            if os.readlink(f"/proc/{pid}/fd/{number}") in pipes:
                return True
        except OSError:
            return False
    return False


@dataclass(slots=True)
class Family:
    """The processes of one attempt.

    `watchers` are the shim, its root, and the helpers that are to survive the command; empty if they are gone.
    `pipes` are what only the attempt writes to. `known` are those seen to belong before.
    """

    claim: str
    since: float
    pipes: tuple[str, ...] = ()
    watchers: tuple[int, ...] = ()
    known: set[tuple[int, float]] = field(default_factory=set)

    def members(self) -> list[Process]:
        """Everything but the watchers that belongs to the attempt now."""
        # A tick is 10 ms and rounded down: a little slack, so that the first process is not missed.
        everything = processes(self.since - 0.1)
        marker = f"\0{MARKER}={self.claim}\0".encode()
        own = set(self.watchers[:1])
        sessions = set(own)
        for one in everything:
            if one.pid != os.getpid() and (
                (one.pid, one.started) in self.known
                or one.session in sessions
                or marker in _environment(one.pid)
                or _writes_to(one.pid, self.pipes)
            ):
                own.add(one.pid)
        _add_children(own, everything)
        found = [one for one in everything if one.pid in own and one.pid not in (*self.watchers, os.getpid())]
        self.known = {(one.pid, one.started) for one in found}
        return found


def _add_children(own: set[int], everything: Iterable[Process]) -> None:
    children: dict[int, list[int]] = {}
    for one in everything:
        children.setdefault(one.parent, []).append(one.pid)
    waiting = list(own)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in own:
                own.add(child)
                waiting.append(child)


def depth(members: Iterable[Process], root: int) -> dict[int, int]:
    """How many generations below `root` each member is; those that do not descend from it are left out."""
    parents = {one.pid: one.parent for one in members}
    found: dict[int, int] = {}
    for pid in parents:
        steps, at = 1, pid
        while parents.get(at, root) != root and at in parents and steps <= len(parents):
            steps, at = steps + 1, parents[at]
        if parents.get(at) == root:
            found[pid] = steps
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signals each process that still exists and may be signalled."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill(family: Family) -> bool:
    """Freezes the members until no new ones appear, then kills them; True if there were none.

    A stopped process cannot fork, and stopping a whole group is one step for the kernel: so a fork bomb comes to
    rest where killing one by one would chase it. The watchers go on, to tell how the command ended.
    """
    frozen: set[int] = set()
    end = time.monotonic() + _ROUND_S
    while fresh := [one for one in family.members() if one.pid not in frozen]:
        for group in {one.group for one in fresh} - {0, 1, os.getpgrp()}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGSTOP)
        send((one.pid for one in fresh), signal.SIGSTOP)
        frozen |= {one.pid for one in fresh}
        if time.monotonic() > end:
            break
    send(frozen, signal.SIGKILL)
    if frozen:
        send(family.watchers, signal.SIGCONT)
    return not frozen
