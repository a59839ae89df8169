"""Waking early: file-system events of a state repository on this machine are a hint, never needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

_STEP = 0.05


class Wake:
    """Waits for a change below the refs of the repository at `url`, if that is a path on this machine."""

    def __init__(self, url: str) -> None:
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
            if self._events is None:
                time.sleep(_STEP)
            elif next(self._events, None):
                return
