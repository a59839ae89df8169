"""Orphans: with this process as their reaper, whatever a command leaves behind becomes a child of this process.

So whether anything is left is known from one small file, where it would take a look at every process otherwise.
Where the system offers no such thing, that look is taken.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
from collections.abc import Collection

_PR_SET_CHILD_SUBREAPER = 36

Child = tuple[int, bytes]
"""A pid, and when that process started."""


def become_reaper() -> bool:
    """Has orphans of this process's descendants become its children; False if that cannot be."""
    return _become_reaper(os.getpid())


@functools.cache
def _become_reaper(_: int) -> bool:
    # once for each process: a fork does not inherit it
    if sys.platform != "linux" or strangers(()) is None:
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def strangers(known: Collection[int]) -> frozenset[Child] | None:
    """The children of this process that are not `known`; None if the system does not say."""
    try:
        return frozenset((pid, _started(pid)) for pid in _children("self").difference(known))
    except OSError:
        return None


def below(root: int) -> set[int]:
    """The processes that descend from `root` now and were not orphaned meanwhile."""
    found: set[int] = set()
    waiting = [root]
    while waiting:
        with contextlib.suppress(OSError):
            fresh = _children(str(waiting.pop())).difference(found)
            found |= fresh
            waiting += fresh
    return found


def _started(pid: int) -> bytes:
    """What tells a process from a later one of the same number; our own children keep theirs until we wait for them."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return file.read(1024).rpartition(b")")[2].split()[19]


def _children(process: str) -> set[int]:
    """Raises OSError if the process has ended, or the system does not say."""
    found: set[int] = set()
    for task in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{task}/children", "rb", buffering=0) as file:
            found.update(map(int, file.read().split()))
    return found
