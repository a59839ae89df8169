"""The components of a log: which there are, where they are, how each of them ended."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from citgit.errors import NotFound
from citgit.logs.capture import PARTS, read_about
from citgit.model.record import Component, Exit

DEPTH = 16
MOST = 5000
"""Components that are looked at: a build can make any number."""

_RECORDED = 100


@dataclass(frozen=True, slots=True)
class Node:
    """A component: its path below the root ("" is the root itself), times in unix ms (`ended` 0 while it runs)."""

    path: str
    place: Path
    started: int
    ended: int
    exit: Exit

    @property
    def failed(self) -> bool:
        """Whether it ended with another status than 0, or by a signal."""
        return self.exit.status not in (None, 0) or bool(self.exit.signal)

    @property
    def ms(self) -> int:
        """How long it took; 0 while it runs."""
        return max(0, self.ended - self.started) if self.ended else 0


def tree(root: Path) -> list[Node]:
    """The root and all components below it, each before its parts, oldest first."""
    found = [_node(root, "")]
    at = 0
    while at < len(found) and len(found) < MOST:
        node = found[at]
        at += 1
        if node.path.count("/") < DEPTH - 1:
            parts = sorted(_parts(node), key=lambda part: (part.started, part.path))
            found[at:at] = parts[: MOST - len(found)]
    return found


def component(root: Path, path: str) -> Path:
    """The directory of the component `path` below `root`; never one outside of it. Raises NotFound."""
    at = root
    for name in path.split("/") if path else []:
        at = at / PARTS / name
        if name in ("", ".", "..") or "\0" in name or not _is_directory(at.parent) or not _is_directory(at):
            raise NotFound(f"no component {path[:200]!a}", hint="`cit log BUILD` lists the components")
    return at


def failures(nodes: Sequence[Node]) -> list[Node]:
    """The failed components, where it failed first: those without failed parts of their own, by their end."""
    failed = [node for node in nodes if node.failed]
    above = {node.path.rpartition("/")[0] for node in failed if node.path}
    return sorted(failed, key=lambda node: (node.path in above, -node.path.count("/"), node.ended))


def recorded(nodes: Sequence[Node]) -> tuple[Component, ...]:
    """The parts as a result holds them: not the root, and of very many the failed ones first."""
    parts = [node for node in nodes if node.path]
    chosen = parts
    if len(parts) > _RECORDED:
        kept = set(list(dict.fromkeys(node.path for node in [*failures(parts), *parts]))[:_RECORDED])
        chosen = [node for node in parts if node.path in kept]
    return tuple(Component(path=node.path[:200], outcome=_outcome(node), ms=node.ms) for node in chosen)


def _outcome(node: Node) -> str:
    if node.failed:
        return "failed"
    return "passed" if node.exit.status == 0 else ""


def _parts(node: Node) -> list[Node]:
    here = node.place / PARTS
    if not _is_directory(here):
        return []
    names = [one.name for one in os.scandir(here) if one.is_dir(follow_symlinks=False)]
    return [
        _node(here / name, f"{node.path}/{name}" if node.path else name)
        for name in names[:MOST]
        if (here / name / "component.json").is_file()
    ]


def _node(place: Path, path: str) -> Node:
    about = read_about(place)
    return Node(path, place, about.started, about.ended, about.exit)


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
