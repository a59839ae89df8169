"""Draws the components of a log as a tree, with their states and durations."""

from __future__ import annotations

from collections.abc import Sequence

import click

from citgit.programs.wording import coloured, emit, plain, span
from citgit.wiring.logs import LogNode, failures


def print_tree(nodes: Sequence[LogNode], name: str, now: int, *, as_json: bool) -> None:
    """Each component with its state and how long it took (`now` in unix ms); branches show what is a part of what."""
    if as_json:
        for node in nodes:
            emit({
                "component": node.path, "started": node.started, "ended": node.ended, "ms": node.ms,
                "status": node.exit.status, "signal": node.exit.signal, "cpu_ms": node.cpu_ms,
                "bytes": node.end - node.begin if node.stream else node.out + node.err,
            })  # fmt: skip
        return
    rows = list(zip(branches(nodes, name), map(state, nodes), (took(node, now) for node in nodes), strict=True))
    width = max((len(branch) for branch, _, _ in rows), default=0)
    for branch, word, time in rows:
        click.echo(f"{branch:<{width}}  {coloured(word, 7)}  {time}".rstrip())
    red = failures([node for node in nodes if node.path])
    click.echo(f"'cit log BUILD {plain(red[0].path) if red else 'COMPONENT'}' prints one of them", err=True)


def state(node: LogNode) -> str:
    """A component's state in a word; "ended" where its status is not known."""
    if node.failed:
        return "failed"
    if not node.ended:
        return "running"
    return "passed" if node.exit.status == 0 else "ended"


def took(node: LogNode, now: int) -> str:
    """How long it took, or has taken so far."""
    if node.ended:
        return span(node.ms / 1000)
    return span(max(0, now - node.started) // 1000) if node.started else ""


def branches(nodes: Sequence[LogNode], name: str) -> list[str]:
    """The name of each component behind the lines that lead to it; `name` is the root's."""
    last: set[str] = set()
    seen: set[str] = set()
    for node in reversed(nodes):
        above = node.path.rpartition("/")[0]
        if node.path and above not in seen:
            seen.add(above)
            last.add(node.path)
    known = {node.path for node in nodes}
    return [_branch(node.path, last, known) if node.path else name for node in nodes]


def _branch(path: str, last: set[str], known: set[str]) -> str:
    names = path.split("/")
    lines = ""
    for depth in range(1, len(names)):
        above = "/".join(names[:depth])
        if above in known:
            lines += "   " if above in last else "│  "
    return lines + ("└─ " if path in last else "├─ ") + plain(names[-1])
