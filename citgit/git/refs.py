"""The refs of a repository on this machine, in git's own files: read, and compared and swapped as git does it.

Obeyed are git's lock files, its packed refs, and its rule that a name cannot be a ref and a folder of refs. What is
written is synced: the value before it gets its name, then the folder. Files only, without reflogs: whoever uses this
makes sure that the repository is of that kind (`embedded.Gate`).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from citgit.errors import Bug
from citgit.git.objects import sync_folder
from citgit.git.ref_locks import Locks
from citgit.interfaces import Answer, Oid, Pushed, Update
from citgit.model.names import is_oid
from citgit.model.pattern import pattern

_BAD = pattern(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)\.|\.lock(/|$)|/$|\.$")
_LINE = pattern(rb"^([0-9a-f]{40}) ([^\n]+)$", re.MULTILINE)
# A file that changed within this time of being read may change again unseen: its times are as coarse as the kernel's.
_SETTLED_NS = 50_000_000
_Signature = tuple[int, int, int, int]


class RefFiles:
    """Refs whose names begin with `root` in the repository whose common directory is `place`."""

    def __init__(self, place: Path, root: str) -> None:
        self._place = place
        self._base = f"{place}/"
        self._root = root
        self._locks = Locks(place / "cit-locks")
        self._loose: dict[str, tuple[_Signature, Oid | None]] = {}
        self._packed: tuple[_Signature, dict[str, Oid]] | None = None

    def read(self, ref: str) -> Oid | None:
        """Where a ref is now; None if there is none."""
        found = self._loose_value(ref)
        return found if found else self._packed_refs().get(ref)

    def under(self, prefix: str) -> dict[str, Oid]:
        """The refs below `prefix`, which ends in a slash."""
        # Loose ones first: a ref that is packed meanwhile is then found in one of the two.
        loose = {ref: oid for ref, oid in self.loose(prefix) if oid}
        packed = self._packed_refs()
        return {ref: oid for ref, oid in packed.items() if ref.startswith(prefix)} | loose if packed else loose

    def loose(self, prefix: str) -> list[tuple[str, Oid | None]]:
        """The refs below `prefix` that have a file of their own; None stands for a file that is not whole."""
        found: list[tuple[str, Oid | None]] = []
        self._walk(prefix.rstrip("/"), found)
        return found

    def swap(self, updates: Sequence[Update]) -> list[Pushed]:
        """Compares and swaps each ref, independently of the others; durable when it returns. Raises OSError."""
        return self._change(updates, self._compare, sync=True)

    def put(self, updates: Sequence[Update]) -> list[Pushed]:
        """Sets each ref, whatever it was before (`old` is not looked at); not synced. Raises OSError."""
        return self._change(updates, self._blocked, sync=False)

    def _change(
        self, updates: Sequence[Update], judge: Callable[[Update], Pushed | None], *, sync: bool
    ) -> list[Pushed]:
        answers: dict[str, Pushed] = {}
        held: list[Update] = []
        packed = any(update.new is None for update in updates)
        try:
            if packed:
                # or a `git pack-refs` that has read the old value would bring it back
                self._locks.take(self._base + "packed-refs.lock")
            for update in updates:
                if refused := self._lock(update):
                    answers[update.ref] = refused
                else:
                    held.append(update)
            chosen = []
            for update in held:
                if answer := judge(update):
                    answers[update.ref] = answer
                else:
                    chosen.append(update)
            changed = self._remove([update for update in chosen if update.new is None], answers)
            changed |= self._write([update for update in chosen if update.new is not None], answers, sync=sync)
            for folder in changed if sync else ():
                with contextlib.suppress(FileNotFoundError):  # git removes folders that have become empty
                    sync_folder(folder)
        except FileExistsError as error:
            return [
                Pushed(update, Answer.UNKNOWN, f"cannot lock '{error.filename2}': File exists") for update in updates
            ]
        finally:
            for update in held:
                self._locks.release(self._lock_path(update.ref))
            if packed:
                self._locks.release(self._base + "packed-refs.lock")
        return [answers[update.ref] for update in updates]

    # -- one ref ----------------------------------------------------------------------------------------

    def _path(self, ref: str) -> str:
        if not ref.startswith(self._root) or _BAD.search(ref):
            raise Bug(f"not a ref under {self._root!r}: {ref[:200]!a}")
        return self._base + ref

    def _lock_path(self, ref: str) -> str:
        return f"{self._path(ref)}.lock"

    def _lock(self, update: Update) -> Pushed | None:
        """Locks the ref; what to answer if that cannot be."""
        path = self._lock_path(update.ref)
        for _ in range(10):
            try:
                self._locks.take(path)
                return None
            except FileNotFoundError:
                # git removes folders that have become empty, now or between the next two lines
                folder = os.path.dirname(path)
                with contextlib.suppress(FileNotFoundError, FileExistsError, NotADirectoryError):
                    os.makedirs(folder)
                if not os.path.isdir(folder) and update.new is None:
                    return Pushed(update, Answer.STALE, "remote ref does not exist")
                if any(os.path.isfile(self._base + above) for above in _above(update.ref)):
                    return Pushed(update, Answer.DENIED, f"cannot create '{update.ref}': a ref is in the way")
            except NotADirectoryError:
                stale = update.old is not None
                return Pushed(update, Answer.STALE if stale else Answer.DENIED, f"cannot create '{update.ref}'")
            except FileExistsError:
                break
        return Pushed(update, Answer.UNKNOWN, f"cannot lock '{path}': File exists")

    def _compare(self, update: Update) -> Pushed | None:
        """Under the lock: the answer, unless the swap is to be made."""
        self._loose.pop(update.ref, None)
        now = self.read(update.ref)
        # As git's client does: "up to date" comes before the lease.
        if now == update.new and now is not None:
            return Pushed(update, Answer.DONE)
        if now != update.old or (now is None and update.new is None):
            return Pushed(update, Answer.STALE, "stale info")
        return self._blocked(update) if now is None else None

    def _blocked(self, update: Update) -> Pushed | None:
        """Under the lock: the answer, if the name is taken by a folder or is below a ref."""
        self._loose.pop(update.ref, None)
        if update.new is not None and self._in_the_way(update.ref):
            return Pushed(update, Answer.DENIED, f"cannot create '{update.ref}': another ref is in the way")
        return None

    def _in_the_way(self, ref: str) -> bool:
        """Whether a packed ref or a folder with refs has the place; a loose one would have prevented the lock."""
        packed = self._packed_refs()
        if any(other in packed and self.read(other) for other in _above(ref)):
            return True
        if any(other.startswith(ref + "/") for other in packed):
            return True
        return os.path.isdir(self._base + ref) and bool(self.under(ref + "/"))

    def _write(self, updates: Sequence[Update], answers: dict[str, Pushed], *, sync: bool) -> set[str]:
        """Writes the new values; the folders that must be synced."""
        scratches = []
        for update in updates:
            handle, path = self._locks.scratch()
            try:
                os.write(handle, f"{update.new}\n".encode())
                if sync:
                    os.fsync(handle)
            finally:
                os.close(handle)
            scratches.append((update, path))
        folders: set[str] = set()
        for update, scratch in scratches:
            target = self._path(update.ref)
            try:
                if os.path.isdir(target):
                    _remove_empty(target)
                os.rename(scratch, target)
            except OSError as error:
                os.unlink(scratch)
                if not isinstance(error, IsADirectoryError) and not os.path.isdir(target):
                    raise
                answers[update.ref] = Pushed(update, Answer.DENIED, f"cannot create '{update.ref}': {error.strerror}")
                continue
            folders.add(os.path.dirname(target))
            answers[update.ref] = Pushed(update, Answer.DONE)
        return folders

    def _remove(self, updates: Sequence[Update], answers: dict[str, Pushed]) -> set[str]:
        """Deletes refs; the folders that must be synced."""
        gone = {update.ref for update in updates}
        if gone & self._packed_refs().keys():
            self._repack(gone)
        for update in updates:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                os.unlink(self._path(update.ref))
            self._loose.pop(update.ref, None)
            answers[update.ref] = Pushed(update, Answer.DONE)
        return {os.path.dirname(self._path(ref)) for ref in gone}

    # -- packed refs ------------------------------------------------------------------------------------

    def _packed_refs(self) -> dict[str, Oid]:
        """Those under the root, by name."""
        path = self._base + "packed-refs"
        try:
            signature = _signature(os.stat(path))
        except FileNotFoundError:
            return {}
        if self._packed is None or self._packed[0] != signature:
            # git writes it anew under another inode and renames it, so what is read is one version of it
            with open(path, "rb") as file:
                about, content = os.fstat(file.fileno()), file.read()
            root = self._root.encode()
            found = {
                line[2].decode("utf-8", "surrogateescape"): line[1].decode()
                for line in _LINE.finditer(content)
                if line[2].startswith(root)
            }
            self._packed = (_signature(about), found) if _is_settled(about) else None
            return found
        return self._packed[1]

    def _repack(self, gone: set[str]) -> None:
        """Writes packed-refs without some refs, under its lock."""
        path = self._place / "packed-refs"
        names = {ref.encode("utf-8", "surrogateescape") for ref in gone}
        kept, skip = [], False
        for line in path.read_bytes().splitlines(keepends=True):
            if not line.startswith(b"^"):
                skip = line[41:].rstrip(b"\n") in names
            if not skip:
                kept.append(line)
        handle, scratch = self._locks.scratch()
        with os.fdopen(handle, "wb") as file:
            file.write(b"".join(kept))
            file.flush()
            os.fsync(handle)
        os.rename(scratch, path)
        sync_folder(self._place)

    # -- loose refs -------------------------------------------------------------------------------------

    def _loose_value(self, ref: str, path: str = "", about: os.stat_result | None = None) -> Oid | None:
        """The value of a loose ref, read only if the file has changed; None if there is none that is whole."""
        path = path or self._base + ref
        try:
            signature = _signature(about or os.stat(path, follow_symlinks=False))
            known = self._loose.get(ref)
            if known is not None and known[0] == signature:
                return known[1]
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self._loose.pop(ref, None)
            return None
        try:
            about = os.fstat(handle)
            content = os.pread(handle, 64, 0) if stat.S_ISREG(about.st_mode) else b""
        finally:
            os.close(handle)
        text = content[:40].decode("ascii", "replace")
        value = text if is_oid(text) and content[40:] in (b"", b"\n") else None
        if _is_settled(about):
            self._loose[ref] = _signature(about), value
        else:
            self._loose.pop(ref, None)
        return value

    def _walk(self, folder: str, found: list[tuple[str, Oid | None]]) -> None:
        try:
            entries = list(os.scandir(self._base + folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name = entry.name
            ref = f"{folder}/{name}"
            try:
                about = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            known = self._loose.get(ref)
            # a poll looks at each active build: nearly all of them are as they were
            if known is not None and known[0] == _signature(about):
                found.append((ref, known[1]))
            elif stat.S_ISDIR(about.st_mode):
                self._walk(ref, found)
            elif not _BAD.search(name):
                found.append((ref, self._loose_value(ref, entry.path, about)))


def _signature(about: os.stat_result) -> _Signature:
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _is_settled(about: os.stat_result) -> bool:
    """Whether a later change would show: a rename sets the time of change, but the clock of files is coarse."""
    return time.time_ns() - about.st_ctime_ns > _SETTLED_NS


def _above(ref: str) -> list[str]:
    """The names that cannot be refs beside this one, because it is below them."""
    parts = ref.split("/")
    return ["/".join(parts[:count]) for count in range(3, len(parts))]


def _remove_empty(folder: str) -> None:
    """Removes folders without a single file below `folder`. Raises OSError if there is one."""
    for place, _, _ in os.walk(folder, topdown=False):
        os.rmdir(place)
