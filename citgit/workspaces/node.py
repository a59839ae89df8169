"""What this node offers: hardware, tools and their versions, executors that work; found out when asked."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from citgit import __version__
from citgit.interfaces import Executor
from citgit.model.record import Advert

KNOWN_TOOLS = (
    "ar", "bash", "cargo", "cc", "clang", "cmake", "ctest", "g++", "gcc", "git", "go", "java", "ld", "make",
    "meson", "mvn", "ninja", "node", "npm", "perl", "pip", "pkg-config", "pytest", "python3", "rustc", "sh", "tar",
    "tox", "uv", "valgrind",
)  # fmt: skip
"""Tools that an advert names when they are on PATH; jobs may require any of them."""

_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_GO_WAY = {"go": ["version"]}
_NO_VERSION = {"sh"}


def advert(home: Path, executors: Mapping[str, Executor], boot: str, slots: int, labels: Sequence[str]) -> Advert:
    """This node's advert: memory and disk in bytes, a tool's version "" if it does not tell."""
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
        tools={tool: version_of(tool) for tool in KNOWN_TOOLS if shutil.which(tool)},
        executors={name: _probed(executor) for name, executor in executors.items()},
    )


def version_of(tool: str) -> str:
    """The first version number in what `tool --version` prints; "" if there is none within two seconds."""
    if tool in _NO_VERSION:
        return ""
    try:
        done = subprocess.run(
            [tool, *_GO_WAY.get(tool, ["--version"])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search((done.stdout + done.stderr).decode("utf-8", "replace"))
    return found[0] if found else ""


def _probed(executor: Executor) -> str:
    probe = executor.probe()
    return "" if probe.ok else (probe.reason or "does not work here")[:200]
