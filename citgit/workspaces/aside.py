"""Long work on an attempt's files, in a forked process: a worker's turn is not held while other slots could go on.

Such a process dies with the worker. What it leaves is whole under its name or not there, so that the next worker does
it again as if it had never begun.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from citgit.interfaces import Oid

_PR_SET_PDEATHSIG = 1


class _Child(NamedTuple):
    """A process, and a descriptor that is readable once it has ended; -1 where there is no such thing."""

    pid: int
    ends: int


@dataclass(slots=True)
class Aside:
    """The processes of one worker, at most one for each claim. `ended` are claims whose process is gone."""

    running: dict[Oid, _Child] = field(default_factory=dict)
    ended: set[Oid] = field(default_factory=set)

    def begin(self, claim: Oid, act: Callable[[], object]) -> None:
        """Has `act` done by a process of its own. What it raises is lost: `act` keeps its errors itself."""
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            _work(parent, act)
        ends = -1
        with contextlib.suppress(OSError, AttributeError):  # the latter where the system has no such thing
            ends = os.pidfd_open(pid)
        self.ended.discard(claim)
        self.running[claim] = _Child(pid, ends)

    def runs(self, claim: Oid) -> bool:
        """Whether the process of that claim still works."""
        child = self.running.get(claim)
        if child is None:
            return False
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(child.pid, os.WNOHANG)[0] == 0:
                return True
        self._drop(claim)
        return False

    def stop(self, claim: Oid) -> None:
        """Ends the process of that claim and what it started, and forgets the claim."""
        if child := self.running.get(claim):
            for kill in (os.killpg, os.kill):  # the first moment it has no group of its own yet
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(child.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
            self._drop(claim)
        self.ended.discard(claim)

    def descriptors(self) -> list[int]:
        """Descriptors that are readable once a process has ended."""
        return [child.ends for child in self.running.values() if child.ends >= 0]

    def _drop(self, claim: Oid) -> None:
        child = self.running.pop(claim)
        self.ended.add(claim)
        if child.ends >= 0:
            os.close(child.ends)


def _work(parent: int, act: Callable[[], object]) -> NoReturn:
    status = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:
            act()
            status = 0
    finally:
        # nothing of the worker's is closed, flushed or removed by its copy
        os._exit(status)
