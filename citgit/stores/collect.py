"""Collects what a build keeps: regular files that match, copied out of the workspace before anything else runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from citgit.model.globs import matches
from citgit.model.job import Keep
from citgit.model.record import Artifact, Tests

MOST = 10_000


@dataclass(frozen=True, slots=True)
class Collected:
    """What was found; `missing` names the patterns that match nothing."""

    artifacts: tuple[Artifact, ...]
    tests: Tests | None
    missing: tuple[str, ...]


def collect(workspace: Path, target: Path, keep: Keep) -> Collected:
    """Copies the artifacts to `target`; links are not followed, nothing outside of the workspace is read."""
    found: dict[str, Artifact] = {}
    matched: set[str] = set()
    for path in _files(workspace) if keep.artifacts else ():
        name = path.relative_to(workspace).as_posix()
        hits = [glob for glob in keep.artifacts if matches(glob, name)]
        if hits and len(found) < MOST:
            matched.update(hits)
            found[name] = _copy(path, target / name, name)
    missing = tuple(glob for glob in keep.artifacts if glob not in matched)
    return Collected(tuple(found[name] for name in sorted(found)), None, missing)


def _files(workspace: Path) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(workspace, followlinks=False):
        folders[:] = sorted(one for one in folders if one != ".git")
        found += [Path(folder) / name for name in sorted(names)]
    return found


def _copy(path: Path, target: Path, name: str) -> Artifact:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(handle, "rb") as source, open(target, "wb") as copy:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            return Artifact(path=name, sha256=hashlib.sha256(b"").hexdigest(), size=0)
        shutil.copyfileobj(source, copy)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    return Artifact(path=name, sha256=digest, size=about.st_size, executable=bool(about.st_mode & 0o100))
