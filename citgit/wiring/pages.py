"""What verbs reach of reports: pages over whatever logs this machine has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from citgit.errors import NotFound
from citgit.logs.clean import visible
from citgit.logs.read import tail
from citgit.logs.tree import tree
from citgit.pages.site import AgentRow as AgentRow
from citgit.pages.site import LogPart as LogPart
from citgit.pages.site import Rendered as Rendered
from citgit.pages.site import Site as Site
from citgit.pages.site import World as World

LINES = 400
"""Lines of a component that a page shows: its end, since that is where a build failed."""

_PARTS = 200


def plain(text: object) -> str:
    """Text from a record or a log as a page may show it."""
    return visible(str(text), colour=False)


def log_parts(root: Path) -> Sequence[LogPart]:
    """The components of the log at `root`, on this machine, with their last lines; none if it is damaged."""
    found: list[LogPart] = []
    try:
        for node in tree(root)[:_PARTS]:
            lines = tail(node.place, LINES + 1)
            found.append(
                LogPart(
                    path=node.path, ms=node.ms, status=node.exit.status,
                    lines=[(line.time_ms, line.stream, line.text[:2000]) for line in lines[-LINES:]],
                    cut=len(lines) > LINES,
                )
            )  # fmt: skip
    except (NotFound, OSError):
        return []
    return found
