"""What of this user's on this machine can be tidied: workers' homes, and the repositories that are ours to keep."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from citgit.git.embedded import place_of
from citgit.git.maintenance import Untidy, collect, is_ours, look, maintain
from citgit.machine import SystemClock, owned
from citgit.wiring.clone import Clone, state_dir
from citgit.wiring.packing import pack_logs, unpacked
from citgit.workspaces.tidy import Leftover, dangling, leftovers, remove

__all__ = [
    "Leftover", "SystemClock", "Untidy", "Upkeep", "dangling", "homes", "leftovers", "pack_logs",
    "remove", "repositories", "tidied", "unpacked",
]  # fmt: skip

QUIET = 60.0
"""Seconds without a build after which a worker is idle."""

EVERY = 3_600.0
"""Seconds between two looks at the repositories."""


def homes() -> list[Path]:
    """The homes of this user's workers on this machine."""
    found = sorted(path.parent for path in (state_dir() / "workers").glob("*/attempts"))
    return [path for path in found if owned(path)]


def repositories(homes: list[Path], clone: Clone | None, url: str = "") -> Iterator[Path]:
    """The repositories of workers and of a clone: stores, mirrors, and a state repository on this machine."""
    places = [home / "state.git" for home in homes]
    for folder in (*(home / "mirrors" for home in homes), state_dir() / "mirrors"):
        places += sorted(folder.glob("*.git"))
    if clone:
        places += sorted((clone.home / "cit-mirrors").glob("*.git"))
    for address in (url, clone.url if clone else ""):
        if address and (place := place_of(address)):
            places.append(place)
    yield from (place for place in dict.fromkeys(places) if (place / "objects").is_dir() and owned(place))


def tidied(place: Path, *, dry_run: bool) -> tuple[Untidy, Untidy | None]:
    """What was found in a repository, and what is there now; None if nothing was done. Raises GitFailed."""
    found = look(place)
    if dry_run or not found.is_due:
        return found, None
    done = maintain(place, found) if is_ours(place) else collect(place)
    return found, look(place) if done else None


class Upkeep:
    """Maintenance while a worker is idle, by a process of its own that gives way to everything else."""

    def __init__(self, home: Path, url: str) -> None:
        self._home, self._url = home, url
        self._quiet: float | None = None
        self._last: float | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def turn(self, now: float, *, idle: bool) -> None:
        """Once a turn, at `now` (seconds of a steady clock): starts what is due, stops it when a build comes."""
        running = self.process is not None and self.process.poll() is None
        if not idle:
            self._quiet = None
            self.end()
            return
        self._quiet = now if self._quiet is None else self._quiet
        if running or now - self._quiet < QUIET or (self._last is not None and now - self._last < EVERY):
            return
        self._last = now
        if any(look(place).is_due for place in repositories([self._home], None, self._url)) or any(
            unpacked(self._home)
        ):
            argv = [sys.executable, "-m", "citgit.programs.cit", "tidy", "--pack", "--home", str(self._home)]
            with contextlib.suppress(OSError):
                # a machine that is full, or lacks nice(1), goes on building
                self.process = subprocess.Popen(
                    ["nice", "-n", "19", *argv, "--url", self._url], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", process_group=0,
                )  # fmt: skip

    def end(self) -> None:
        """Ends what runs, the git that packs too: an interrupted git leaves nothing half done."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
