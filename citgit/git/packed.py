"""Packed objects: asked of one kept `git cat-file`, and read through pygit2 once that pays for its import."""

from __future__ import annotations

import contextlib
import os
import subprocess
import weakref
from pathlib import Path
from typing import Any

from citgit.errors import Errored, NotFound, Refused
from citgit.git.program import kept
from citgit.interfaces import Oid

_MANY = 1_000
"""Reads after which pygit2, a tenth of a second and 15 MiB to load, is the cheaper one."""

_PORTION = 1 << 16


class PackedObjects:
    """What is in the packs of the repository `git_dir`, of another one that it borrows from, or of `beside`."""

    def __init__(self, git_dir: Path, beside: Path | None = None) -> None:
        self._git_dir = git_dir
        self._beside = beside
        self._process: subprocess.Popen[bytes] | None = None
        self._odb: Any = None
        self._reads = 0
        self._owner = 0

    @property
    def by_library(self) -> bool:
        """Whether so many were read that pygit2 does it now."""
        return self._odb is not None

    def read(self, oid: Oid, limit: int) -> tuple[str, bytes]:
        """Type and bytes, not checked against the name. Raises NotFound, Refused, Errored if damaged."""
        self._reads += 1
        if self._reads > _MANY:
            return self._by_library(oid, limit)
        return self._asked(oid, limit)

    def has(self, oid: Oid) -> bool:
        """Whether the object is here."""
        if self._odb is not None:
            return bool(self._odb.exists(oid))
        return self._ask("info", oid) is not None

    def _asked(self, oid: Oid, limit: int) -> tuple[str, bytes]:
        found = self._ask("contents", oid)
        if found is None:
            raise self._missing(oid)
        kind, size = found
        assert self._process is not None
        assert self._process.stdout is not None
        left = size + 1
        if size > limit:
            while left:
                left -= len(self._process.stdout.read(min(left, _PORTION))) or left
            raise too_large(oid, size, limit)
        data = self._process.stdout.read(left)
        if len(data) != left:
            self._end()
            raise Errored("git ended before the object did")
        return kind, data[:-1]

    def _ask(self, what: str, oid: Oid) -> tuple[str, int] | None:
        """Kind and size; None if the object is not here. Raises Errored if git cannot tell."""
        for _ in range(2):
            if self._process is None or self._owner != os.getpid():
                # after a fork the pipes belong to both, so each asks a git of its own
                self._owner = os.getpid()
                self._process = kept(["cat-file", "--batch-command"], git_dir=self._git_dir, beside=self._beside)
                weakref.finalize(self, _leave, self._process)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{what} {oid}\n".encode())
                self._process.stdin.flush()
            words = self._process.stdout.readline().decode().split()
            if words[1:] == ["missing"]:
                return None
            if len(words) == 3 and words[0] == oid:
                return words[1], int(words[2])
            # git gives up at a damaged object, and at a repository that is not there
            self._end()
        if not (self._git_dir / "HEAD").exists():
            raise NotFound(
                f"cannot open the repository {str(self._git_dir)!r}",
                hint="run this in a git repository, or name one with -C",
            )
        raise Errored("git cannot read it")

    def _missing(self, oid: Oid) -> NotFound:
        return NotFound(f"object {oid[:12]} is not in {str(self._git_dir)!r}", hint="fetch, then try again")

    def _end(self) -> None:
        if self._process is not None:
            _leave(self._process)
            self._process = None

    def _by_library(self, oid: Oid, limit: int) -> tuple[str, bytes]:
        import pygit2

        try:
            if self._odb is None:
                self._odb = pygit2.Repository(str(self._git_dir)).odb
                if self._beside:
                    self._odb.add_disk_alternate(str(self._beside))
                self._end()
            kind, size = self._odb.read_header(oid)
            if size > limit:
                raise too_large(oid, size, limit)
            return _kind(kind), bytes(self._odb.read(oid)[1])
        except KeyError:
            raise NotFound(
                f"object {oid[:12]} is not in {str(self._git_dir)!r}", hint="fetch, then try again"
            ) from None
        except pygit2.GitError as error:
            raise Errored(str(error)) from error


def too_large(oid: Oid, size: int, limit: int) -> Refused:
    """The error for an object beyond what its reader allows."""
    return Refused(f"object {oid[:12]} is too large: {size} bytes, the limit is {limit}")


def _leave(process: subprocess.Popen[bytes]) -> None:
    """Ends a kept git, which only reads: closing its stdin is not enough where a fork has that open too."""
    for stream in (process.stdin, process.stdout):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()


def _kind(kind: Any) -> str:
    """pygit2's number as git's word."""
    return {1: "commit", 2: "tree", 3: "blob", 4: "tag"}.get(int(kind), "unknown")
