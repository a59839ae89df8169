"""What is made of the logs of finished attempts: the first error; packed ones, by a process that gives way to all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from citgit.interfaces import LogSource
from citgit.logs.first_error import first_error as search
from citgit.logs.matchers import Matchers, load
from citgit.logs.pack import is_due, pack_log
from citgit.model.names import is_oid
from citgit.model.record import FirstError
from citgit.wiring.clone import config_dir
from citgit.workspaces.kept import CLEAN

_LOCK = ".packing"
_AT_ONCE = 2


def matchers() -> Matchers:
    """The table of this machine: its own entries before the shipped ones. Raises BadConfig."""
    return load(config_dir() / "matchers.toml")


def first_error(source: LogSource) -> FirstError | None:
    """The first error in a log, by the table of this machine."""
    return search(source, matchers())


def pack(root: Path) -> int:
    """Packs the log of a finished attempt; the bytes that were freed."""
    return pack_log(root, matchers())


def unpacked(home: Path) -> Iterator[Path]:
    """The logs of finished attempts below the worker's `home` that have something to pack."""
    place = home / "attempts"
    for directory in sorted(place.iterdir()) if place.is_dir() else ():
        if is_oid(directory.name) and (directory / CLEAN).exists() and is_due(directory / "log"):
            yield directory / "log"


def pack_logs(home: Path) -> Iterator[tuple[Path, int]]:
    """Packs them one after the other: each log and the bytes that were freed. Waits for whoever does it already."""
    table = matchers()
    with open(home / _LOCK, "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for log in unpacked(home):
            yield log, pack_log(log, table)


class Packing:
    """Starts the packing of a worker's logs when an attempt has left long ones."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.running: list[subprocess.Popen[bytes]] = []

    def finished(self, log: Path) -> None:
        """An attempt is over and told about; does not wait for anything."""
        self.running = [one for one in self.running if one.poll() is None]
        # one that waits for its turn finds this log too
        if len(self.running) < _AT_ONCE and is_due(log):
            argv = [sys.executable, "-m", "citgit.programs.cit", "tidy", "--logs", "--home", str(self._home)]
            with contextlib.suppress(OSError):
                # a machine that is full, or lacks nice(1), goes on building
                self.running.append(
                    subprocess.Popen(
                        ["nice", "-n", "19", *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL, cwd="/", env=os.environ, start_new_session=True,
                    )
                )  # fmt: skip
