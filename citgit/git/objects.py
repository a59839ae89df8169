"""The local object store of a git repository: loose objects read and written directly, durably; packs through git."""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from citgit.errors import Bug, Errored, NodeFull
from citgit.git.pack import pack
from citgit.git.packed import PackedObjects, too_large
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
# Of so many objects written together a pack is cheaper to write and to read than loose files.
_PACKED_FROM = 64


def init_bare(path: Path, *, shared: str = "", state_only: bool = False) -> None:
    """Makes a bare repository that keeps what it is told; an existing one keeps its content.

    `shared` as in `git init --shared` ("group", "0660" …). `state_only` for one that holds nothing but records: its
    branches never rewind, which protects records kept under refs/heads/cit/. (git applies that setting to branches
    alone: below refs/cit/ only a hook can refuse a rewind, and every reader sees one.)
    """
    share = [f"--shared={shared}"] if shared else []
    must(["init", "--quiet", "--bare", "--template=", *share, "--", str(path)], doing=f"create {str(path)!r}")
    # records only ever grow; in a repository that holds code too, people rewrite their branches
    settings = _BARE | {"receive.denyNonFastForwards": "true" if state_only else "false"}
    named = [(*name.split("."), value) for name, value in settings.items()]
    text = "".join(f"[{section}]\n\t{key} = {value}\n" for section, key, value in named)
    # a library that could set them would stay in a worker's memory; of a name that stands twice the last one counts
    with open(path / "config", "r+") as file:
        if text not in file.read():
            file.write(text)


def sync_tree(top: Path, *, below: bool = True) -> None:
    """Makes the folder durable, and unless not `below` all that is in it."""
    for path in [*(top.rglob("*") if below else ()), top]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def common_dir(git_dir: Path) -> Path:
    """Where the objects and refs are: a linked worktree's .git names it in a file."""
    pointer = git_dir / "commondir"
    return (git_dir / pointer.read_text().strip()).resolve() if pointer.is_file() else git_dir


_NO_LINK = frozenset({errno.EPERM, errno.EMLINK, errno.EXDEV})
"""Why a file gets no second name that is no fault."""


class GitObjects:
    """Objects of the repository whose git directory is `git_dir`; safe to share between processes.

    `beside` is a further folder of objects to read from, such as the quarantine of a push.
    """

    def __init__(self, git_dir: Path, beside: Path | None = None) -> None:
        self.git_dir = git_dir
        self._packed = PackedObjects(git_dir, beside)
        self._objects = ""
        self._group: dict[Oid, tuple[str, bytes]] | None = None

    def read(self, oid: Oid, *, limit: int = 1 << 24) -> tuple[str, bytes]:
        """Type and bytes, which are checked against the name. Raises NotFound, Refused, Errored if damaged."""
        if not is_oid(oid):
            raise Bug(f"not an object name: {oid[:80]!a}")
        if self._group and oid in self._group:
            return self._group[oid]
        # whoever reads very many objects reads packs: the library, once it is loaded, looks at loose ones too
        kind, data = self._from_pack(oid, limit) if self._packed.by_library else self._read_loose(oid, limit)
        # Neither libgit2's cache nor a loose file is trusted: the name is what signatures cover.
        if oid_of(kind, data) != oid:
            raise self._damaged(oid, f"its bytes are {oid_of(kind, data)[:12]}")
        return kind, data

    def has(self, oid: Oid) -> bool:
        """Whether the object is here."""
        if self._group and oid in self._group:
            return True
        return is_oid(oid) and (os.path.exists(self._loose(oid)) or self._packed.has(oid))

    def write(self, kind: str, data: bytes) -> Oid:
        """Stores an object as a loose file, synced before it gets its name. Raises NodeFull, Errored."""
        oid = oid_of(kind, data)
        if self._group is not None:
            self._group[oid] = kind, data
        elif not self._freshened(oid):
            self._write({oid: (kind, data)})
        return oid

    def link(self, other: GitObjects, oid: Oid) -> bool | None:
        """Has this store hold an object of another one on the same file system; not synced. Raises NodeFull.

        True if it is new here, False if it was here, None if the other does not have it as a file of its own.
        """
        path = self._loose(oid)
        for _ in range(2):
            try:
                os.link(other._loose(oid), path)
                return True
            except FileExistsError:
                return False
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(path[:-39])
            except OSError as fault:
                if fault.errno not in _NO_LINK:
                    raise
                # another user's file in a repository that is shared with them, mostly: then a copy does
                if self.has(oid):
                    return False
                self._copy(other, oid)
                return True
        return False if self.has(oid) else None

    def loose_kind(self, oid: Oid) -> str:
        """The type of an object that is a file of its own, by its first bytes; "" if there is no such file."""
        try:
            with open(self._loose(oid), "rb", buffering=0) as file:
                return zlib.decompressobj().decompress(file.read(64), 32).split(b" ")[0].decode("ascii", "replace")
        except (OSError, zlib.error):
            return ""

    @contextlib.contextmanager
    def group(self) -> Iterator[None]:
        """What is written inside is durable only when this ends: together, which is cheaper. Raises NodeFull."""
        if self._group is not None:
            yield
            return
        self._group = {}
        try:
            yield
        finally:
            # after an error too: what refers to these objects may have been kept
            written, self._group = self._group, None
            self._write({oid: what for oid, what in written.items() if not self._freshened(oid)})

    def tree(self, oid: Oid) -> list[Entry]:
        """The entries of a tree, in git's order. Raises NotFound; Errored if it is no tree."""
        kind, data = self.read(oid)
        if kind != "tree":
            raise Errored(f"object {oid[:12]} is a {kind}, not a tree")
        return parse_tree(data)

    def write_tree(self, entries: Iterable[Entry]) -> Oid:
        """Stores a tree (entries in any order) and returns its name."""
        return self.write("tree", tree_bytes(entries))

    # ---------------------------------------------------------------------------------------------------

    def _loose(self, oid: Oid) -> str:
        self._objects = self._objects or f"{common_dir(self.git_dir)}/objects/"
        return f"{self._objects}{oid[:2]}/{oid[2:]}"

    def _read_loose(self, oid: Oid, limit: int) -> tuple[str, bytes]:
        try:
            with open(self._loose(oid), "rb", buffering=0) as file:
                return _inflated(file.read(), oid, limit)
        except FileNotFoundError:
            return self._from_pack(oid, limit)
        except (OSError, ValueError, zlib.error) as error:
            raise self._damaged(oid, str(error)) from error

    def _from_pack(self, oid: Oid, limit: int) -> tuple[str, bytes]:
        try:
            return self._packed.read(oid, limit)
        except Errored as error:
            raise self._damaged(oid, error.message) from error

    def _damaged(self, oid: Oid, why: str) -> Errored:
        return Errored(
            f"object {oid[:12]} in {str(self.git_dir)!r} is damaged: {why}",
            hint=f"run `git --git-dir={self.git_dir} fsck`, remove the damaged file and fetch again",
        )

    def _freshened(self, oid: Oid) -> bool:
        """Whether the object is a loose one already; if so it is as new, so that no `git gc` takes it for garbage."""
        try:
            os.utime(self._loose(oid))
        except OSError:
            return False
        return True

    def _copy(self, other: GitObjects, oid: Oid) -> None:
        """A loose object as it is, however large: its bytes are checked when it is read."""
        import shutil  # slow to load, and hardly ever needed

        try:
            source = open(other._loose(oid), "rb")  # noqa: SIM115
        except OSError as error:
            raise other._damaged(oid, str(error)) from error
        try:
            with source, _whole(self._loose(oid)) as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise self._full(error) from error

    def _write(self, objects: Mapping[Oid, tuple[str, bytes]]) -> None:
        try:
            if len(objects) >= _PACKED_FROM:
                must(
                    ["index-pack", "--stdin"], git_dir=self.git_dir, input=pack(objects.values()),
                    settings=("core.fsync=all",), doing=f"store {len(objects)} objects in {str(self.git_dir)!r}",
                )  # fmt: skip
            elif objects:
                self._write_loose(objects)
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> NodeFull:
        return NodeFull(
            f"cannot store an object in {str(self.git_dir)!r}: {error.strerror}",
            hint="free some space there, or make it writable for this user",
        )

    def _write_loose(self, objects: Mapping[Oid, tuple[str, bytes]]) -> None:
        """Each as a file that is whole under its name or absent, whatever happens to the machine."""
        folders: set[str] = set()
        for oid, (kind, data) in objects.items():
            path = self._loose(oid)
            folder = path[:-39]
            if not os.path.isdir(folder):
                folders.add(self._objects)
            with _whole(path) as file:
                file.write(zlib.compress(b"%s %d\0%s" % (kind.encode(), len(data), data), 1))
            folders.add(folder)
        for folder in folders:
            sync_folder(folder)


def sync_folder(folder: str | Path) -> None:
    """Makes the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _whole(path: str) -> Iterator[BinaryIO]:
    """A file that gets its name, its content synced, when this ends without an error."""
    handle, temporary = _scratch(path[:-39])
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fchmod(handle, 0o444)
            os.fsync(handle)
        os.rename(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _scratch(folder: str) -> tuple[int, str]:
    for _ in range(10):
        with contextlib.suppress(FileNotFoundError):
            path = f"{folder}/tmp_obj_{os.urandom(6).hex()}"
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), path
        # a `git gc` removes folders that have become empty
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
    raise FileNotFoundError(2, "cannot be made", folder)


def _inflated(content: bytes, oid: Oid, limit: int) -> tuple[str, bytes]:
    """Kind and data of a loose object's file. Raises ValueError, zlib.error, Refused."""
    inflater = zlib.decompressobj()
    whole = inflater.decompress(content, limit + 64)
    head, zero, data = whole.partition(b"\0")
    kind, _, size = head.decode("ascii").partition(" ")
    if not zero or not size.isdigit():
        raise ValueError("it has no header")
    if int(size) > limit:
        raise too_large(oid, int(size), limit)
    if len(data) != int(size) or not inflater.eof:
        raise ValueError(f"it ends after {len(data)} of {size} bytes")
    return kind, data
