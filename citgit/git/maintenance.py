"""Keeps a repository of ours small and quick: loose objects into packs, packs into larger ones, refs into one file.

Nothing that can be read before is missing after, at any moment and whoever reads or writes meanwhile: objects are
only packed, never pruned, and git takes its own locks for refs. Repositories in which git collects by itself
(`gc.auto` is not 0) are left to git.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from citgit.git.objects import common_dir
from citgit.git.program import must, run
from citgit.model.pattern import pattern

LOOSE = 500
PACKS = 20
REFS = 500
"""A repository is worth the work from so many loose objects, packs, or refs that have a file of their own."""

_HOURS = 3600.0
_FOLDER = pattern(r"[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Untidy:
    """What a repository holds: loose objects, packs, loose refs, bytes of objects."""

    loose: int
    packs: int
    refs: int
    size: int

    @property
    def is_due(self) -> bool:
        """Whether maintenance would pay."""
        return self.loose >= LOOSE or self.packs >= PACKS or self.refs >= REFS


def is_ours(git_dir: Path) -> bool:
    """Whether the repository is this user's, and one in which git was told to leave collecting to us."""
    place = common_dir(git_dir)
    if not (place / "objects").is_dir() or place.stat().st_uid != os.geteuid():
        return False
    return run(["config", "--local", "--get", "gc.auto"], git_dir=place).stdout.strip() == b"0"


def look(git_dir: Path) -> Untidy:
    """Counts names, reads no object."""
    place = common_dir(git_dir)
    objects = place / "objects"
    loose = size = packs = 0
    for folder in (one for one in os.scandir(objects) if _FOLDER.fullmatch(one.name)):
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(folder.path):
                loose += len(entry.name) == 38
                size += entry.stat().st_blocks * 512
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(objects / "pack"):
            packs += entry.name.endswith(".pack")
            size += entry.stat().st_blocks * 512
    return Untidy(loose, packs, sum(1 for _ in _files(place / "refs")), size)


def maintain(git_dir: Path, found: Untidy) -> bool:
    """Packs what `look` found; False if another process is at it. Raises GitFailed."""
    place = common_dir(git_dir)
    with open(place / "cit-maintenance.lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        synced = ("core.fsync=all",)
        if found.loose >= LOOSE or found.packs >= PACKS:
            must(
                ["repack", "-d", "-l", "-q", "--geometric=2"], git_dir=place, settings=synced, timeout=_HOURS,
                doing=f"pack {str(place)!r}",
            )  # fmt: skip
            must(
                ["commit-graph", "write", "--reachable", "--split", "--no-progress"], git_dir=place, settings=synced,
                timeout=_HOURS, doing=f"write the commit graph of {str(place)!r}",
            )  # fmt: skip
        if found.refs >= REFS:
            must(["pack-refs", "--all"], git_dir=place, settings=synced, doing=f"pack the refs of {str(place)!r}")
    return True


def _files(folder: Path) -> Iterator[str]:
    for _, _, names in os.walk(folder):
        yield from (name for name in names if not name.endswith(".lock"))


def collect(git_dir: Path) -> bool:
    """Has git collect, by its own rules and the repository's settings, where that is not left to us."""
    told = (
        run(["config", "--local", "--get", "gc.auto"], git_dir=common_dir(git_dir))
        .stdout.decode(errors="replace")
        .strip()
    )
    # what we write in-process never makes git look whether it is time
    settings = (f"gc.auto={told or 6700}", "gc.autoDetach=false", "maintenance.auto=true")
    must(
        ["gc", "--auto", "--quiet"], git_dir=common_dir(git_dir), settings=settings, timeout=_HOURS,
        doing=f"collect in {str(git_dir)!r}",
    )  # fmt: skip
    return True
