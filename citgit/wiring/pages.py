"""What verbs reach of reports: pages over whatever logs this machine has."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from citgit.errors import NotFound
from citgit.logs.capture import read_about
from citgit.logs.clean import visible
from citgit.logs.read import component, components, tail
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
    found: deque[LogPart] = deque(maxlen=_PARTS)
    try:
        for path in components(root):
            at = component(root, path)
            about, lines = read_about(at), tail(at, LINES + 1)
            found.append(
                LogPart(
                    path=path, ms=max(0, about.ended - about.started), status=about.exit.status,
                    lines=[(line.time_ms, line.stream, line.text[:2000]) for line in lines[-LINES:]],
                    cut=len(lines) > LINES,
                )
            )  # fmt: skip
    except (NotFound, OSError):
        return []
    return list(found)
