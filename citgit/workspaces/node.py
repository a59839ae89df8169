"""What this node offers: hardware, tools and their versions, executors that work; found out when asked."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from citgit import __version__
from citgit.interfaces import Executor
from citgit.model.plan import Machine
from citgit.model.record import Advert
from citgit.workspaces.tools import KNOWN_TOOLS, versions


def advert(
    home: Path, executors: Mapping[str, Executor], boot: str, slots: int, labels: Sequence[str],
    tools: Sequence[str] | None = None, machine: Machine | None = None,
) -> Advert:  # fmt: skip
    """This node's advert: memory and disk in bytes, a tool's version "" if it does not tell.

    `tools` are those to look for; None: all that are known. `machine` is where builds run, if that is elsewhere.
    """
    if machine is not None:
        return Advert(
            boot=boot, version=__version__, host=machine.host, os=machine.os, arch=machine.arch, cpu=machine.cpu,
            memory=machine.memory, disk=machine.disk, slots=slots, labels=tuple(labels), tools=machine.tools,
            executors={name: _probed(executor) for name, executor in executors.items()},
        )  # fmt: skip
    return Advert(
        boot=boot,
        version=__version__,
        host=socket.gethostname(),
        os=platform.system().lower(),
        arch=platform.machine(),
        cpu=os.cpu_count() or 1,
        memory=psutil.virtual_memory().total,
        disk=shutil.disk_usage(home).free,
        slots=slots,
        labels=tuple(labels),
        tools=versions(home / "tools.json", KNOWN_TOOLS if tools is None else tools),
        executors={name: _probed(executor) for name, executor in executors.items()},
    )


def _probed(executor: Executor) -> str:
    probe = executor.probe()
    return "" if probe.ok else (probe.reason or "does not work here")[:200]
