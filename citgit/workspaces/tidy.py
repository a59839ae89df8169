"""Removes what attempts left on this node once nobody needs it: finished ones alone, and only what is ours.

An attempt's files (logs, artifacts) stay for the days that its job says, its workspace as long. A cap on their
size removes the oldest sooner. What runs, or waits to be published, is never touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from citgit.model.names import is_oid
from citgit.model.units import size_text
from citgit.workspaces.kept import CLEAN, Attempt

DAY = 86_400
GRACE = 3_600
"""Seconds for which everything stays: somebody may be looking at it."""

_ORPHAN = DAY
_GONE = ".tidied-"


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that may go: what it is, where, its size in bytes, since when (unix seconds), why."""

    kind: str
    path: Path
    size: int
    since: int
    why: str


def leftovers(home: Path, now: int, *, days: int | None = None, cap: int | None = None) -> list[Leftover]:
    """What may go below the worker's `home`; `days` overrides what jobs say, `cap` (bytes) bounds what stays."""
    found: list[Leftover] = []
    kept: list[Leftover] = []
    busy: set[Path] = set()
    for directory in _folders(home / "attempts"):
        if directory.name.startswith(_GONE):
            found.append(Leftover("attempt", directory, _size(directory), now, "half removed"))
            continue
        attempt = _attempt(directory)
        if attempt is None:
            continue
        workspace = _workspace(home, attempt)
        ended = _mtime(directory / CLEAN)
        if ended is None:
            busy.add(workspace)
            continue
        stays = max(GRACE, (attempt.request.definition.keep.days if days is None else days) * DAY)
        parts = [
            Leftover(kind, path, _size(path), ended, f"finished {(now - ended) // DAY} days ago")
            for kind, path in (("workspace", workspace), ("attempt", directory)) if path.is_dir()
        ]  # fmt: skip
        (found if now - ended > stays else kept).extend(parts)
    found += _orphans(home, now, busy | {one.path for one in (*found, *kept)})
    return found + list(_beyond(kept, now, cap))


def drop(path: Path) -> int | None:
    """Removes a folder, whenever it was made; the bytes that it took, None if that failed."""
    one = Leftover("workspace", path, _size(path), 0, "asked for")
    return one.size if remove(one) else None


def remove(leftover: Leftover) -> bool:
    """Removes it; False if not all of it may go, or somebody else was faster. Never follows a link out of it."""
    target = leftover.path.with_name(f"{_GONE}{leftover.path.name.removeprefix(_GONE)}")
    try:
        if target != leftover.path:
            # in one step: a worker must not find half an attempt and take it for one that runs
            leftover.path.rename(target)
        shutil.rmtree(target, onerror=_insist)
    except OSError:
        return False
    return True


def dangling(home: Path) -> Iterator[Path]:
    """Links to workspaces that are gone; each is removed when the next one is asked for."""
    for link in sorted((home / "by-name").glob("*")) if (home / "by-name").is_dir() else []:
        if link.is_symlink() and not link.exists():
            yield link
            link.unlink(missing_ok=True)


def _orphans(home: Path, now: int, known: set[Path]) -> Iterator[Leftover]:
    """Workspaces of which no attempt is left."""
    for path in _folders(home / "workspaces"):
        since = _mtime(path) or now
        if path not in known and (path.name.startswith(_GONE) or now - since > _ORPHAN):
            yield Leftover("workspace", path, _size(path), since, "of no attempt")


def _beyond(kept: list[Leftover], now: int, cap: int | None) -> Iterator[Leftover]:
    """The oldest of what would stay, beyond the cap."""
    total = sum(one.size for one in kept)
    for one in sorted(kept, key=lambda each: (each.since, each.kind != "workspace")):
        if cap is None or total <= cap or now - one.since <= GRACE:
            return
        total -= one.size
        yield replace(one, why=f"more than {size_text(cap)} are kept")


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink()) if place.is_dir() else []


def _attempt(directory: Path) -> Attempt | None:
    if not is_oid(directory.name):
        return None
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((directory / "attempt.json").read_bytes(), type=Attempt)
    return None


def _workspace(home: Path, attempt: Attempt) -> Path:
    return home / "workspaces" / (attempt.build if attempt.number == 1 else f"{attempt.build}.{attempt.number}")


def _mtime(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return int(path.lstat().st_mtime)
    return None


def _size(path: Path) -> int:
    """Bytes on disk, links not followed."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total


def _insist(remove: Callable[[str], object], path: str, _error: object) -> None:
    """A build may have made its folders read-only."""
    folder = os.path.dirname(path)
    for each in (folder, path):
        with contextlib.suppress(OSError):
            if stat.S_ISDIR(os.lstat(each).st_mode):
                os.chmod(each, 0o700)
    if remove in (os.open, os.scandir, os.listdir):
        shutil.rmtree(path, ignore_errors=True)
        return
    remove(path)
