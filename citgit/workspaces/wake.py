"""Waking early: events of a state repository, on this disk or through a channel, are a hint, never needed."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from citgit.interfaces import Waker

_STEP = 0.05


class Wake:
    """Waits for a change below the refs of the repository at `url`, if that is a path, or for what `waker` hears."""

    def __init__(self, url: str, waker: Waker | None = None) -> None:
        self._waker = waker
        path = Path(url)
        refs = path / ".git" / "refs" if (path / ".git").is_dir() else path / "refs"
        self._events: Iterator[object] | None = None
        if refs.is_dir():
            from watchfiles import watch

            # watchfiles' defaults batch events for 1.6 s
            self._events = watch(
                refs, debounce=5, step=1, rust_timeout=int(_STEP * 1000), yield_on_timeout=True, raise_interrupt=False
            )

    def wait(self, seconds: float, ready: Callable[[], bool]) -> None:
        """Returns after `seconds`, when `ready` says so, or when refs changed."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not ready():
            if self._waker is not None:
                if self._waker.drain():
                    return
                heard = self._waker.fileno()
                select.select([heard] if heard >= 0 else [], [], [], min(_STEP, max(0.0, until - time.monotonic())))
            elif self._events is None:
                time.sleep(_STEP)
            elif next(self._events, None):
                return
