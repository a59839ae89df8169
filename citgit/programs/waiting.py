"""What a person at a terminal sees while something takes long: a line of words, and a bar once there is a count."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from citgit.programs.wording import plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SOON = 2.0
"""Seconds after which words come; a bar comes after a quarter of that. What is quicker shows nothing."""

_DRAW = 0.1

Count = Callable[[int, int], None]
"""Is told how much is done, and of how much (0: nobody knows)."""


@contextmanager
def waiting(what: str, *, rows: bool = False, size: bool = False) -> Iterator[Count]:
    """Tells of work that takes long; with --json, or where stderr is no terminal, it says nothing.

    Nothing moves before the first count, since ssh may be asking for something at the same terminal. `rows`: the
    verb prints as it goes, which is enough where stdout is a terminal too; it may fork, so no thread is started.
    `size`: it is bytes that are counted.
    """
    if not _is_watched():
        yield lambda done, of: None
        return
    shown = _Shown(plain(what), rows=rows and sys.stdout.isatty(), size=size, counts=rows)
    try:
        yield shown
    finally:
        shown.end()


def _is_watched() -> bool:
    ctx = click.get_current_context(silent=True)
    return sys.stderr.isatty() and not (ctx and ctx.params.get("as_json"))


class _Shown:
    """One piece of work on the screen."""

    def __init__(self, what: str, *, rows: bool, size: bool, counts: bool) -> None:
        self._what, self._rows, self._size = what, rows, size
        self._began = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._drawn = 0.0
        self._words = threading.Timer(SOON, lambda: click.echo(f"{what} …", err=True))
        self._words.daemon = True
        if not counts:
            self._words.start()

    def __call__(self, done: int, of: int) -> None:
        """So much is done."""
        self._words.cancel()
        if self._rows or time.monotonic() - self._began < SOON / 4:
            return
        if self._bar is None:
            self._begin(of)
        now = time.monotonic()
        if self._bar is not None and self._task is not None and (now - self._drawn >= _DRAW or done == of):
            self._drawn = now
            self._bar.update(self._task, completed=done, total=of or None, refresh=True)

    def end(self) -> None:
        """Takes it away."""
        self._words.cancel()
        if self._bar is not None:
            self._bar.stop()

    def _begin(self, of: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        counted = [BarColumn(), DownloadColumn(binary_units=True) if self._size else MofNCompleteColumn()]
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            *(counted if of else [TextColumn("{task.completed}", markup=False)]), TimeElapsedColumn(),
            console=Console(stderr=True), transient=True, redirect_stdout=False, redirect_stderr=False,
            auto_refresh=False,
        )  # fmt: skip
        self._bar.start()
        self._task = self._bar.add_task(self._what, total=None)
