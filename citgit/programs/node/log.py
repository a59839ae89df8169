"""`cit-serve log CLAIM`: gives the log of an attempt piece by piece, and tells when there is more of it."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from citgit.programs.node.asked import Asked
from citgit.programs.node.gate import admitted, need_code
from citgit.wiring.logs import LocalLog, LogNode
from citgit.wiring.serve_node import (
    MOST_BYTES,
    AllNodes,
    Await,
    Done,
    IndexOf,
    Nodes,
    Piece,
    PieceOf,
    Talk,
)

_LOOK_S = 0.03
"""Seconds between looks at a log that somebody follows; longer where looking takes long."""


def serve(asked: Asked, talk: Talk) -> None:
    """One answer after the other, until the client leaves."""
    kept = admitted(asked)
    need_code(asked, talk, kept)
    talk.say(Done())
    log = LocalLog(kept.directory / "log")
    told: dict[str, LogNode] = {}
    while True:
        wanted: Any = talk.hear(AllNodes | Await | PieceOf | IndexOf)  # type: ignore[arg-type]
        if isinstance(wanted, PieceOf):
            talk.say(Piece(), log.read(wanted.path, wanted.name, wanted.at, wanted.count))
        elif isinstance(wanted, IndexOf):
            index = log.index(wanted.path)
            body = msgspec.json.encode(index) if index else b""
            talk.say(Piece(), body if len(body) <= MOST_BYTES else b"")
        else:
            changed, whole = _changes(talk, log, told, wanted)
            told |= {node.path: node for node in changed}
            talk.say(Nodes(whole=whole), msgspec.json.encode(changed) if changed else b"")


def _changes(
    talk: Talk, log: LocalLog, told: dict[str, LogNode], wanted: AllNodes | Await
) -> tuple[list[LogNode], bool]:
    """The components that are not as they were told, and whether these are all there are; waits for some."""
    began = time.monotonic()
    while True:
        looked = time.monotonic()
        nodes = log.nodes()
        if isinstance(wanted, AllNodes) or any(node.path not in told for node in nodes):
            return nodes, True
        changed = [node for node in nodes if told[node.path] != node]
        now = time.monotonic()
        left = began + wanted.seconds - now
        if changed or left <= 0:
            return changed, False
        talk.rest(min(left, max(_LOOK_S, 4 * (now - looked))))
