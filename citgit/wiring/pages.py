"""What verbs reach of reports: pages over whatever logs this machine has."""

from __future__ import annotations

from collections.abc import Sequence

from citgit.errors import NotFound
from citgit.interfaces import LogSource
from citgit.logs.clean import visible
from citgit.logs.read import tail
from citgit.logs.tree import failures
from citgit.model.log import LogNode
from citgit.pages.live import Live as Live
from citgit.pages.live import Said as Said
from citgit.pages.site import KNOWN as KNOWN
from citgit.pages.site import Site as Site
from citgit.pages.world import AgentRow as AgentRow
from citgit.pages.world import LogPart as LogPart
from citgit.pages.world import Rendered as Rendered
from citgit.pages.world import World as World

LINES = 400
"""Lines of a component that a page shows: its end, since that is where a build failed."""

_PARTS = 200
_CHARACTERS = 600_000
"""What a page shows of all components together; each has its share at least."""

_LINE = 2000


def plain(text: object) -> str:
    """Text from a record or a log as a page may show it."""
    return visible(str(text), colour=False)


def log_parts(source: LogSource) -> Sequence[LogPart]:
    """The components of a log with their last lines; none if it is damaged."""
    try:
        nodes = source.nodes()
        if len(nodes) > _PARTS:
            chosen = {node.path for node in [nodes[0], *failures(nodes)[:_PARTS], *nodes][:_PARTS]}
            nodes = [node for node in nodes if node.path in chosen]
        red = {node.path for node in nodes if node.failed}
        share = _CHARACTERS // (2 * len(nodes))
        left = _CHARACTERS // 2
        found = []
        for node in nodes:
            lines, cut, used = _end(source, node, share + (left if node.path in red or len(nodes) == 1 else 0))
            left = max(0, left - max(0, used - share))
            found.append(
                LogPart(
                    path=node.path, started=node.started, ms=node.ms, status=node.exit.status,
                    signal=node.exit.signal, lines=lines, cut=cut,
                    word="failed" if node.failed else "passed" if node.ended else "running",
                )
            )  # fmt: skip
        return found
    except (NotFound, OSError):
        return []


def _end(source: LogSource, node: LogNode, room: int) -> tuple[list[tuple[int, str, str]], bool, int]:
    """The last lines of a component that fit into so many characters, whether there are more, and what they take."""
    lines = tail(source, node.path, LINES + 1)
    kept: list[tuple[int, str, str]] = []
    used = 0
    for line in reversed(lines[-LINES:]):
        text = line.text[:_LINE]
        used += len(text) + 20
        if kept and used > room:
            break
        kept.append((line.time_ms, line.stream, text))
    return kept[::-1], len(kept) < len(lines), used
