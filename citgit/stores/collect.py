"""Collects what a build keeps: copies of its artifacts, counts of its tests; links are never followed."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from citgit.errors import Errored, NodeFull
from citgit.model.globs import matches
from citgit.model.job import Keep
from citgit.model.record import Artifact, Tests
from citgit.stores.junit import Tally

MOST_FILES = 10_000
MOST_ENTRIES = 500_000
MOST_BYTES = 100 * 2**30
_DEPTH = 64
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Collected:
    """What was found; `missing` names the patterns that match nothing, `remarks` what was left out and why."""

    artifacts: tuple[Artifact, ...]
    tests: Tests | None
    missing: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Yield:
    """What has been collected so far."""

    target: Path
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    matched: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)
    size: int = 0


def collect(workspace: Path, target: Path, keep: Keep) -> Collected:
    """Copies the artifacts below `target`, under their path in the workspace, and reads the JUnit reports.

    Raises NodeFull or Errored if a copy cannot be written.
    """
    got = _Yield(target)
    if keep.artifacts or keep.junit:
        for path, parent, name in _files(workspace, got.remarks):
            wanted = [glob for glob in keep.artifacts if _matches(glob, path)]
            report = any(_matches(glob, path) for glob in keep.junit)
            if wanted or report:
                got.matched.update(wanted)
                _take(got, path, parent, name, artifact=bool(wanted), report=report)
    missing = tuple(glob for glob in keep.artifacts if glob not in got.matched)
    artifacts = tuple(got.artifacts[name] for name in sorted(got.artifacts))
    return Collected(artifacts, got.tally.tests(), missing, (*got.remarks, *got.tally.faults))


def _matches(glob: str, path: str) -> bool:
    # What git keeps about the checkout is no product of the build, unless it is asked for by name.
    return matches([glob], path) and (not path.startswith(".git/") or glob.startswith(".git/"))


def _files(workspace: Path, remarks: list[str]) -> Iterator[tuple[str, int, str]]:
    """Every file below the workspace: its path, an open descriptor of its directory, its name there.

    Directories are opened one below the other, so that none can be swapped for a link meanwhile.
    """
    seen = 0
    stack = [_Folder("", _open_directory(str(workspace.resolve()), None))]
    try:
        while stack:
            here = stack[-1]
            if not here.entries:
                os.close(stack.pop().descriptor)
                continue
            name, is_directory = here.entries.pop()
            seen += 1
            if seen > MOST_ENTRIES:
                remarks.append(f"looked at the first {MOST_ENTRIES} files only")
                return
            if not is_directory:
                yield here.path + name, here.descriptor, name
            elif len(stack) >= _DEPTH:
                remarks.append(f"did not look into {here.path + name!a}: too deep")
            else:
                with contextlib.suppress(OSError):
                    stack.append(_Folder(f"{here.path}{name}/", _open_directory(name, here.descriptor)))
    finally:
        for folder in stack:
            os.close(folder.descriptor)


class _Folder:
    """A directory being read: its path with a slash at its end, and what of it is still to come."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor
        self.entries: list[tuple[str, bool]] = []
        with contextlib.suppress(OSError), os.scandir(descriptor) as entries:
            self.entries = sorted(((one.name, one.is_dir(follow_symlinks=False)) for one in entries), reverse=True)


def _open_directory(name: str, parent: int | None) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def _take(got: _Yield, path: str, parent: int, name: str, *, artifact: bool, report: bool) -> None:
    if not path.isprintable() or not _is_utf8(path):
        got.remarks.append(f"left out {path[:200]!a}: its name is not printable UTF-8")
        return
    try:
        # Without waiting, so that a pipe in the workspace cannot hold us.
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    except OSError as fault:
        got.remarks.append(f"left out '{path}': {'it is a link' if fault.errno == errno.ELOOP else fault.strerror}")
        return
    try:
        about = os.fstat(source)
        if not stat.S_ISREG(about.st_mode):
            got.remarks.append(f"left out '{path}': not a regular file")
            return
        if report:
            got.tally.add(path, partial(_read, source))
        if artifact and _fits(got, path, about.st_size):
            got.artifacts[path] = _copy(source, got.target / path, path, bool(about.st_mode & 0o100))
    finally:
        os.close(source)


def _read(source: int, at: int, count: int) -> bytes:
    return os.pread(source, count, at)


def _fits(got: _Yield, path: str, size: int) -> bool:
    if len(got.artifacts) >= MOST_FILES or got.size + size > MOST_BYTES:
        got.remarks.append(f"left out '{path}': more than {MOST_FILES} files or {MOST_BYTES} bytes")
        return False
    got.size += size
    return True


def _copy(source: int, target: Path, path: str, executable: bool) -> Artifact:
    digest, size = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as copy:
            # By offset: the descriptor's own position was not touched, and growth stops at what is read.
            while block := os.pread(source, _BLOCK, size):
                copy.write(block)
                digest.update(block)
                size += len(block)
                if size > MOST_BYTES:
                    raise Errored(f"cannot keep '{path}': it grows while it is read", hint="end its writer first")
        target.chmod(0o755 if executable else 0o644)
    except OSError as fault:
        raise NodeFull(f"cannot keep '{path}': {fault.strerror}", hint="free some disk, then retry") from fault
    return Artifact(path=path, sha256=digest.hexdigest(), size=size, executable=executable)


def _is_utf8(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False
