"""What the executors need of the log tree; `wiring` gives them the one of `citgit.logs`."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from citgit.model.record import Exit


class LogWriter(Protocol):
    """Writes one component of a log tree: a directory with `out`, `err`, `times` and `component.json`."""

    def begin(self, component: Path, name: str, started: int) -> None:
        """Makes the component with empty streams; `started` in unix ms. Raises OSError."""

    def mark(self, component: Path, ms: int) -> tuple[int, int]:
        """Notes how long the streams are `ms` after the start, if they grew; their sizes. Raises OSError."""

    def parts(self, component: Path, ms: int) -> int:
        """Marks all components below this one; the bytes that their streams hold in all. Raises OSError."""

    def finish(self, component: Path, ended: int, exit: Exit, limit: int) -> bool:
        """Closes the component, cutting the streams to `limit` bytes in all; whether it had to. Raises OSError."""
