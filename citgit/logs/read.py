"""Reads a component's output, within bounds whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_WINDOW = 64 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A line of output: ms since the start, "out" or "err", the text without its newline."""

    ms: int
    stream: str
    text: str


def tail(component: Path, count: int) -> list[Line]:
    """The last lines of both streams, at most `count`: those of out, then those of err."""
    found = []
    for stream in ("out", "err"):
        path = component / stream
        if path.exists():
            with open(path, "rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _WINDOW))
                lines = file.read(_WINDOW).decode("utf-8", "replace").splitlines()
            found += [Line(0, stream, line) for line in lines[-count:]]
    return found[-count:]
