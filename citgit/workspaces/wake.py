"""Waking early: refs that changed on this disk or were told of through a channel, attempts that ended, signals."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from citgit.interfaces import Waker
from citgit.workspaces.ref_watch import EVERYTHING, RefWatch

# How often attempts are asked while they run: for times, limits and those whose end no descriptor tells.
_STEP = 0.05
# A descriptor that goes on being readable although nothing ended must not keep a core busy.
_CALM = 0.005


class Wake:
    """Waits for what is worth a turn. Refs are those of the repository at `place`, if that is on this machine.

    A hint, never needed: whoever waits also gives the time after which it looks by itself.
    """

    def __init__(self, place: Path | None, waker: Waker | None = None) -> None:
        self._refs = RefWatch(place) if place else None
        self._waker = waker
        self._pushed = True
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(ValueError):  # in the main thread only, where signals arrive
            signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def pushed(self) -> bool:
        """Whether branches may have changed since it was last asked; always, if nobody would tell."""
        found, self._pushed = self._pushed, False
        return found or self._refs is None or not self._refs.works

    def wait(
        self,
        seconds: float,
        ready: Callable[[], bool],
        *,
        busy: Callable[[], bool] = lambda: True,
        ends: Callable[[], Sequence[int]] = tuple,
        own: Collection[str] = (),
    ) -> None:
        """Returns after `seconds`, when `ready` says so, or when refs changed.

        While it is `busy` with attempts, `ready` is asked often; `ends` are descriptors that are readable when one of
        them may have ended. `own` are refs whose change is the caller's own, and no news.
        """
        until = time.monotonic() + seconds
        while not ready() and not self._news(own):
            left = until - time.monotonic()
            if left <= 0:
                return
            attempts = list(ends())
            found = _readable([self._read, *attempts, *self._descriptors()], min(left, _STEP) if busy() else left)
            if self._read in found:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._read, 4096)
            if found.intersection(attempts) and not ready():
                time.sleep(_CALM)

    def _descriptors(self) -> list[int]:
        return [one.fileno() for one in (self._refs, self._waker) if one is not None and one.fileno() >= 0]

    def _news(self, own: Collection[str]) -> bool:
        if self._waker is not None and self._waker.drain():
            return True
        changed = self._refs.drain() if self._refs else set()
        if any(ref == EVERYTHING or ref.startswith("refs/heads/") for ref in changed):
            self._pushed = True
        return not changed.issubset(own)


def _readable(descriptors: Sequence[int], seconds: float) -> set[int]:
    """Those that have something to read, or are broken, once there are any or the time is over."""
    waiting = select.poll()
    for one in descriptors:
        waiting.register(one, select.POLLIN)
    return {one for one, _ in waiting.poll(max(0.0, seconds) * 1000)}
