"""The components of a log: where they are, in which order they come, which failed first."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from citgit.errors import NotFound
from citgit.logs.capture import PARTS
from citgit.model.log import LogNode
from citgit.model.record import Component

DEPTH = 16
MOST = 5000
"""Components that are looked at: a build can make any number."""

_RECORDED = 100


def component(root: Path, path: str) -> Path:
    """The directory of the component `path` below `root`; never one outside of it. Raises NotFound."""
    at = root
    for name in path.split("/") if path else []:
        at = at / PARTS / name
        if name in ("", ".", "..") or "\0" in name or not is_directory(at.parent) or not is_directory(at):
            raise NotFound(f"no component {path[:200]!a}", hint="`cit log BUILD` lists the components")
    return at


def part_names(place: Path, path: str) -> list[tuple[str, Path]]:
    """The components in the component at `place`: their paths and where they are; none if `path` is deep already."""
    here = place / PARTS
    if path.count("/") >= DEPTH - 1 or not is_directory(here):
        return []
    try:
        names = [one.name for one in os.scandir(here) if one.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # whose it is may have closed it
    # a name that nobody could type or be shown is none; one of other bytes than UTF-8 is not printable either
    return [
        (f"{path}/{name}" if path else name, here / name)
        for name in names[:MOST]
        if name.isprintable() and _is_file(here / name / "component.json")
    ]


def ordered(nodes: Sequence[LogNode]) -> list[LogNode]:
    """The nodes, each before its parts; brothers by their start."""
    parts: dict[str, list[LogNode]] = {}
    known = {node.path for node in nodes}
    for node in nodes:
        if node.path:
            above = node.path.rpartition("/")[0]
            parts.setdefault(above if above in known else "", []).append(node)
    found = [node for node in nodes if not node.path][:1]
    at = 0
    while at < len(found):
        below = parts.pop(found[at].path, [])
        at += 1
        found[at:at] = sorted(below, key=lambda one: (one.started, one.begin, one.path))
    return found


def failures(nodes: Sequence[LogNode]) -> list[LogNode]:
    """The failed components, where it failed first: those without failed parts of their own, by their end."""
    failed = [node for node in nodes if node.failed]
    above = {node.path.rpartition("/")[0] for node in failed if node.path}
    return sorted(failed, key=lambda node: (node.path in above, -node.path.count("/"), node.ended))


def recorded(nodes: Sequence[LogNode]) -> tuple[Component, ...]:
    """The parts as a result holds them: not the root, and of very many the failed ones first."""
    parts = [node for node in nodes if node.path]
    chosen = parts
    if len(parts) > _RECORDED:
        kept = set(list(dict.fromkeys(node.path for node in [*failures(parts), *parts]))[:_RECORDED])
        chosen = [node for node in parts if node.path in kept]
    return tuple(Component(path=node.path[:200], outcome=_outcome(node), ms=node.ms) for node in chosen)


def _outcome(node: LogNode) -> str:
    if node.failed:
        return "failed"
    return "passed" if node.exit.status == 0 else ""


def is_directory(path: Path) -> bool:
    """Whether it is one itself, not a link to one."""
    return stat.S_ISDIR(_mode(path))


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except (OSError, ValueError):
        return 0  # gone, closed, or longer than a path may be
