"""Logs as verbs show them: their lines, and text that is safe on a terminal."""

from __future__ import annotations

from citgit.logs.clean import visible
from citgit.logs.read import Line, component, follow, read, tail

__all__ = ["Line", "component", "follow", "read", "tail", "visible"]
