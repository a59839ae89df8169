"""`cit-serve stats`: how this node is used: attempts that run and that are kept, load, disk."""

from __future__ import annotations

import os
import shutil

from citgit.programs.node.asked import Asked
from citgit.wiring.homes import Home, attempts
from citgit.wiring.serve_node import NodeMessage, Talk


class Used(NodeMessage, frozen=True, kw_only=True):
    """One worker's: `running` and `kept` attempts; `free` and `total` bytes of the disk, `load` of the machine."""

    agent: str
    running: int
    kept: int
    free: int
    total: int
    load: tuple[float, ...] = ()


class End(NodeMessage, frozen=True, kw_only=True):
    """That was all."""


def serve(asked: Asked, talk: Talk) -> None:
    """One message for each worker here whose policy knows the client, then the end."""
    for home in asked.places():
        if asked.allowed(home):
            talk.say(used(home))
    talk.say(End())


def used(home: Home) -> Used:
    """How much one worker uses now."""
    over = [done for _, _, done in attempts(home)]
    disk = shutil.disk_usage(home.path)
    load = tuple(round(one, 2) for one in os.getloadavg())
    return Used(agent=home.name, running=over.count(False), kept=over.count(True), free=disk.free, total=disk.total,
                load=load)  # fmt: skip
