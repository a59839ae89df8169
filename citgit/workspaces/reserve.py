"""Free disk that a node keeps: below it nothing new is taken, and some of it is given up so that results get out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from citgit.model.units import rounded_size

BALLAST = 4 << 20
"""Bytes of a file that is deleted once the disk is full: room for results, records and the journal."""

_MOST = 1 << 30
_FILES = 1000


def default_least(home: Path) -> int:
    """The bytes that are kept free unless somebody says otherwise: 1 GiB, or a twentieth of a smaller disk."""
    return max(4 * BALLAST, min(_MOST, shutil.disk_usage(home).total // 20))


class Reserve:
    """The reserve of the disk that `home` is on: `least` bytes (negative: the default)."""

    def __init__(self, home: Path, least: int = -1) -> None:
        self._home = home
        self._least = least
        self._ballast = home / "ballast"

    def short(self) -> str:
        """What is lacking, or "". Gives up the ballast when the disk is full, makes it anew once there is room."""
        disk = os.statvfs(self._home)
        free = disk.f_bavail * disk.f_frsize
        least = self._least if self._least >= 0 else default_least(self._home)
        if free < BALLAST // 4:
            self._ballast.unlink(missing_ok=True)
        if free < least:
            kept = rounded_size(least)
            return f"disk: {rounded_size(free)} are free at '{self._home}', the last {kept} are kept for results"
        if disk.f_files and disk.f_favail < _FILES:
            return f"disk: only {disk.f_favail} more files fit at '{self._home}'"
        if free > least + 2 * BALLAST and not self._ballast.exists():
            self._fill()
        return ""

    def _fill(self) -> None:
        try:
            with open(self._ballast, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST)
        except OSError:
            self._ballast.unlink(missing_ok=True)
