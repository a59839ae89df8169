"""A keyed digest over all contents of a revision: whoever gives it for a fresh key has all of the code.

It goes over every path, mode and content, submodules too where a build has them; the names of blobs and trees do not
come into it, since who knows a name need not have what it names. The key is made from what the asker said, from who
answers and what is to be read, so that an answer is of no use to anybody else, for anything else, or a second time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2

from citgit.errors import NotYet
from citgit.interfaces import Oid

_LABEL = b"citgit proof of checkout 1"
_DEPTH = 900
_TREE, _LINK = 0o040000, 0o160000


class Digest:
    """The digest for one question: its `nonce`, the `reader` it is for ("person:anna"), the `subject` that is read."""

    def __init__(self, nonce: bytes, reader: str, subject: str) -> None:
        key = hashlib.sha256(b"\0".join([_LABEL, nonce, reader.encode(), subject.encode()])).digest()
        self._mac = hmac.new(key, digestmod=hashlib.sha256)

    def add(self, at: str, git_dir: Path, commit: Oid) -> None:
        """What is checked out `at` a path, from a repository here. Raises NotYet if that lacks any of it."""
        repository: Any = pygit2.Repository(str(git_dir))
        self._part(f"at {at}", b"")
        try:
            for path, mode, content in _walk(repository, repository[commit].peel(pygit2.Tree), ""):
                self._part(f"{mode:o} {path}", content)
        except (KeyError, ValueError) as error:
            raise NotYet(f"not all of commit {commit[:12]} is here: {error}", hint="git fetch") from None

    def end(self) -> str:
        """64 hex digits."""
        return self._mac.hexdigest()

    def _part(self, name: str, content: bytes) -> None:
        encoded = name.encode("utf-8", "surrogateescape")
        self._mac.update(b"%d %d\n" % (len(encoded), len(content)))
        self._mac.update(encoded)
        self._mac.update(content)


def _walk(repository: Any, tree: Any, above: str, depth: int = 0) -> Iterator[tuple[str, int, bytes]]:
    """(path, mode, content) of everything in a tree, in git's order; of a submodule the commit's name."""
    if depth > _DEPTH:
        raise ValueError("its folders are too deep")
    for entry in tree:
        path, mode = above + entry.raw_name.decode("utf-8", "surrogateescape"), int(entry.filemode)
        if mode == _TREE:
            yield from _walk(repository, repository[entry.id], f"{path}/", depth + 1)
        elif mode == _LINK:
            yield path, mode, str(entry.id).encode()
        else:
            yield path, mode, repository[entry.id].data
