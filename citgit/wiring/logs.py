"""Logs as verbs show them: their components and lines, and text that is safe on a terminal."""

from __future__ import annotations

from citgit.logs.clean import visible
from citgit.logs.read import Line, follow, read, tail, watch
from citgit.logs.tree import Node, component, failures, tree

__all__ = ["Line", "Node", "component", "failures", "follow", "read", "tail", "tree", "visible", "watch"]
