"""Logs as verbs show them: where they are, their components and lines, and text that is safe on a terminal."""

from __future__ import annotations

from citgit.interfaces import LogSource
from citgit.logs.clean import visible
from citgit.logs.local import LocalLog
from citgit.logs.read import Line, follow, read, tail, watch
from citgit.logs.tree import failures
from citgit.model.log import LogNode

__all__ = ["Line", "LocalLog", "LogNode", "LogSource", "failures", "follow", "read", "tail", "visible", "watch"]
