"""Executors: how the command of an attempt is run; one file per way, one line in the table below."""

from __future__ import annotations

from collections.abc import Callable

from citgit.executors.bwrap import bwrap
from citgit.executors.external import ExternalExecutor
from citgit.executors.log_writer import LogWriter
from citgit.executors.process import process
from citgit.interfaces import Executor

TABLE: dict[str, Callable[[LogWriter], Executor]] = {
    "process": process,
    "bwrap": bwrap,
}
"""The built-in executors by name."""


def executor(name: str, logs: LogWriter) -> Executor:
    """The executor of that name; one that is not built in is the program `cit-executor-NAME`. Raises BadName."""
    return TABLE[name](logs) if name in TABLE else ExternalExecutor(name, logs)
