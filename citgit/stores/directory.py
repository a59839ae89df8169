"""A store in a directory: each file under its own sha256, written once, checked when it is read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from citgit.errors import NodeFull, NotFound, Refused
from citgit.model.pattern import pattern

_DIGEST = pattern(r"[0-9a-f]{64}")
_BLOCK = 1 << 20


class DirectoryStore:
    """Content-addressed files below `root`, as `ab/cdef…`; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, path: Path) -> str:
        """Keeps the file; returns its sha256. Raises NotFound; NodeFull if it cannot be written."""
        if not path.is_file():
            raise NotFound(f"no file '{path}' to keep", hint="artifacts are collected before they are kept")
        with open(path, "rb") as source, _new_file(self._root) as (copy, name):
            digest = _copy(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
            os.fchmod(copy.fileno(), 0o444)
            target = self._place(digest)
            target.parent.mkdir(exist_ok=True)
            # A link fails if somebody was faster, and then theirs is the same.
            with contextlib.suppress(FileExistsError):
                os.link(name, target)
        return digest

    def get(self, sha256: str, target: Path) -> None:
        """Writes the content to `target`, checked against the digest. Raises NotFound, Refused, NodeFull."""
        if not self.has(sha256):
            raise NotFound(f"no content {sha256} in '{self._root}'", hint="it may have been tidied away")
        with open(self._place(sha256), "rb") as source, _new_file(target.parent) as (copy, name):
            found = _copy(source, copy)
            if found != sha256:
                raise Refused(
                    f"damaged content {sha256} in '{self._root}': its digest is {found}",
                    hint="remove that file and build again",
                )
            os.fchmod(copy.fileno(), 0o644)
            copy.flush()
            os.rename(name, target)

    def has(self, sha256: str) -> bool:
        """Whether the content is there."""
        return self._place(sha256).is_file()

    def _place(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise NotFound(f"not a sha256: {sha256[:80]!a}", hint="64 lower-case hex digits")
        return self._root / sha256[:2] / sha256[2:]


def _copy(source: BinaryIO, copy: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := source.read(_BLOCK):
        copy.write(block)
        digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def _new_file(directory: Path) -> Iterator[tuple[BinaryIO, str]]:
    """A file in `directory` that is gone afterwards, unless it was renamed."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=directory)
        try:
            with open(handle, "wb") as file:
                yield file, name
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    except OSError as fault:
        raise NodeFull(
            f"cannot write in '{directory}': {fault.strerror}", hint="`cit doctor` looks at the disk"
        ) from fault
