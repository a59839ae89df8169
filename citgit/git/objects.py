"""The local object store of a git repository: read through pygit2, written durably, one loose object each."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from citgit.errors import Bug, Errored, NodeFull, NotFound, Refused
from citgit.git.program import must
from citgit.git.trees import parse_tree, tree_bytes
from citgit.interfaces import Entry, Oid
from citgit.model.names import is_oid
from citgit.records.commit import oid_of

_BARE = {
    "core.fsync": "all",  # git's default syncs neither refs nor loose objects
    "core.fsyncMethod": "fsync",
    "gc.auto": "0",  # a push must not wait for, or race with, a collection
    "receive.autogc": "false",
    "receive.denyDeletes": "false",  # archived builds are deleted
    "uploadpack.allowAnySHA1InWant": "true",  # a build names a commit, whatever its branch has become
    "uploadpack.allowFilter": "true",
}


def init_bare(path: Path, *, shared: str = "", state_only: bool = False) -> None:
    """Makes a bare repository that keeps what it is told; an existing one keeps its content.

    `shared` as in `git init --shared` ("group", "0660" …). `state_only` for one that holds nothing but records: its
    branches never rewind, which protects records kept under refs/heads/cit/. (git applies that setting to branches
    alone: below refs/cit/ only a hook can refuse a rewind, and every reader sees one.)
    """
    share = [f"--shared={shared}"] if shared else []
    must(["init", "--quiet", "--bare", "--template=", *share, "--", str(path)], doing=f"create {str(path)!r}")
    import pygit2

    config = pygit2.Config(str(path / "config"))
    for name, value in _BARE.items():
        config[name] = value
    # records only ever grow; in a repository that holds code too, people rewrite their branches
    config["receive.denyNonFastForwards"] = "true" if state_only else "false"


def common_dir(git_dir: Path) -> Path:
    """Where the objects and refs are: a linked worktree's .git names it in a file."""
    pointer = git_dir / "commondir"
    return (git_dir / pointer.read_text().strip()).resolve() if pointer.is_file() else git_dir


class GitObjects:
    """Objects of the repository whose git directory is `git_dir`; safe to share between processes."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._odb: Any = None

    def _store(self) -> Any:
        if self._odb is None:
            import pygit2  # a tenth of a second: only those who read objects wait for it

            try:
                self._odb = pygit2.Repository(str(self.git_dir)).odb
            except pygit2.GitError as error:
                raise NotFound(
                    f"cannot open the repository {str(self.git_dir)!r}: {error}",
                    hint="run this in a git repository, or name one with -C",
                ) from error
        return self._odb

    def read(self, oid: Oid, *, limit: int = 1 << 24) -> tuple[str, bytes]:
        """Type and bytes, which are checked against the name. Raises NotFound, Refused, Errored if damaged."""
        store = self._store()
        if not is_oid(oid):
            raise Bug(f"not an object name: {oid[:80]!a}")
        try:
            kind, size = store.read_header(oid)
            if size > limit:
                raise Refused(f"object {oid[:12]} is too large: {size} bytes, the limit is {limit}")
            data = bytes(store.read(oid)[1])
        except KeyError:
            raise NotFound(f"object {oid[:12]} is not in {str(self.git_dir)!r}", hint="fetch, then try again") from None
        except _git_error() as error:
            raise self._damaged(oid, str(error)) from error
        name = _kind(kind)
        # Neither libgit2's cache nor a loose file is trusted: the name is what signatures cover.
        if oid_of(name, data) != oid:
            raise self._damaged(oid, f"its bytes are {oid_of(name, data)[:12]}")
        return name, data

    def _damaged(self, oid: Oid, why: str) -> Errored:
        return Errored(
            f"object {oid[:12]} in {str(self.git_dir)!r} is damaged: {why}",
            hint=f"run `git --git-dir={self.git_dir} fsck`, remove the damaged file and fetch again",
        )

    def has(self, oid: Oid) -> bool:
        """Whether the object is here."""
        return is_oid(oid) and bool(self._store().exists(oid))

    def write(self, kind: str, data: bytes) -> Oid:
        """Stores an object as a loose file, synced before it gets its name. Raises NodeFull, Errored."""
        oid = oid_of(kind, data)
        if self.has(oid):
            return oid
        folder = common_dir(self.git_dir) / "objects" / oid[:2]
        try:
            folder.mkdir(exist_ok=True)
            _write_durably(folder, oid[2:], zlib.compress(b"%s %d\0%s" % (kind.encode(), len(data), data), 1))
        except OSError as error:
            raise NodeFull(
                f"cannot store an object in {str(self.git_dir)!r}: {error.strerror}",
                hint="free some space there, or make it writable for this user",
            ) from error
        return oid

    def tree(self, oid: Oid) -> list[Entry]:
        """The entries of a tree, in git's order. Raises NotFound; Errored if it is no tree."""
        kind, data = self.read(oid)
        if kind != "tree":
            raise Errored(f"object {oid[:12]} is a {kind}, not a tree")
        return parse_tree(data)

    def write_tree(self, entries: Iterable[Entry]) -> Oid:
        """Stores a tree (entries in any order) and returns its name."""
        return self.write("tree", tree_bytes(entries))


def _write_durably(folder: Path, name: str, content: bytes) -> None:
    """A file that is whole under its name or absent, whatever happens to the machine."""
    handle, temporary = mkstemp(prefix="tmp_obj_", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(handle, 0o444)
            os.fsync(handle)
        os.rename(temporary, folder / name)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _kind(kind: Any) -> str:
    """pygit2's number as git's word."""
    return {1: "commit", 2: "tree", 3: "blob", 4: "tag"}.get(int(kind), "unknown")


def _git_error() -> type[Exception]:
    import pygit2

    error: type[Exception] = pygit2.GitError
    return error
