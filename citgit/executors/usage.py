"""What an attempt used: sampled while it runs, read from what the shim and the kernel say when it ended."""

from __future__ import annotations

import os
import re
import resource
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from citgit.model.pattern import pattern
from citgit.model.record import Usage

_TIMES = pattern(r"(\d+)m(\d+)[.,](\d+)s")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_DISK_ENTRIES = 200_000
_DISK_SECONDS = 2.0
_MOST = 10**15

INNER = "usage.inner"
"""The file in which a shell inside of a sandbox tells what it waited for, as `times` prints it."""


class Peak(msgspec.Struct, frozen=True, kw_only=True):
    """The most that was seen so far: resident memory of all processes together, bytes moved by those alive."""

    rss_kib: int = 0
    read_bytes: int = 0
    written_bytes: int = 0

    def raised(self, other: Peak) -> Peak:
        """The greater of both, field by field."""
        return Peak(
            rss_kib=max(self.rss_kib, other.rss_kib),
            read_bytes=max(self.read_bytes, other.read_bytes),
            written_bytes=max(self.written_bytes, other.written_bytes),
        )


def load_peak(directory: Path) -> Peak:
    """The peak that an earlier look kept; zero if there is none."""
    try:
        return msgspec.json.decode((directory / "peak").read_bytes(), type=Peak)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Peak()


def save_peak(directory: Path, peak: Peak) -> None:
    """Keeps the peak for a later worker. Raises OSError."""
    (directory / "peak").write_bytes(msgspec.json.encode(peak))


def sample(pids: Iterable[int]) -> Peak:
    """What the processes use now; the shim's counters include all that it waited for."""
    rss = read = written = 0
    for pid in pids:
        rss += _rss_kib(pid)
        moved = _io(f"/proc/{pid}/io")
        read, written = read + moved[0], written + moved[1]
    return Peak(rss_kib=rss, read_bytes=read, written_bytes=written)


def _rss_kib(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
            return int(file.read(256).split()[1]) * _PAGE_KIB
    except (OSError, IndexError, ValueError):
        return 0


def _io(path: str) -> tuple[int, int]:
    try:
        with open(path) as file:
            return _moved(file.read(4096))
    except OSError:
        return 0, 0


def _moved(text: str) -> tuple[int, int]:
    """Bytes that went from and to storage, from the lines of /proc/PID/io."""
    found = dict(re.findall(r"^(read_bytes|write_bytes): (\d+)$", text, re.MULTILINE))
    return int(found.get("read_bytes", 0)), int(found.get("write_bytes", 0))


def _cpu_ms(text: str) -> int:
    """All four times that `times` prints: the shim's own and those of what it waited for."""
    return sum(
        (int(minutes) * 60 + int(seconds)) * 1000 + int(f"{part:0<3.3}")
        for minutes, seconds, part in _TIMES.findall(text)
    )


def _said(path: Path) -> str:
    try:
        with open(path, errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""


def total(directory: Path, workspace: Path, wall_ms: int, peak: Peak, children: resource.struct_rusage | None) -> Usage:
    """The usage of an ended attempt; `children` is what the kernel says if the shim was our own child."""
    said = _said(directory / "usage")
    read, written = _moved(said)
    # the build can write into one of these
    cpu, rss = min(_MOST, _cpu_ms(said) + _cpu_ms(_said(directory / INNER))), 0
    if children is not None:
        # Without a word from the shim this is the best; it counts the shim's helpers too.
        cpu = cpu or round((children.ru_utime + children.ru_stime) * 1000)
        # Linux lets a fresh process inherit the peak of the worker that spawned it: only more than that is its own.
        if children.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
            rss = children.ru_maxrss
    return Usage(
        wall_ms=wall_ms,
        cpu_ms=cpu,
        max_rss_kib=max(rss, peak.rss_kib),
        read_bytes=min(_MOST, max(read, peak.read_bytes)),
        written_bytes=min(_MOST, max(written, peak.written_bytes)),
        disk_bytes=disk(workspace),
    )


def disk(directory: Path) -> int:
    """Bytes that the tree takes on disk; a lower bound if it is too large to look at all of it."""
    found, seen, end = 0, 0, time.monotonic() + _DISK_SECONDS
    waiting = [str(directory)]
    while waiting and seen < _DISK_ENTRIES and time.monotonic() < end:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    found += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue
    return found
