"""The journal: every push is written here, durably, before it is sent: nobody forgets what they may have done."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from citgit.errors import NodeFull
from citgit.interfaces import Entrusted, Oid
from citgit.model.names import is_oid

# A claim is of interest until its build is archived; after this many newer ones it has long been.
_CLAIMS_KEPT = 10_000
# A journal with this many lines that say nothing new is written anew.
_WASTE = 20_000


_Said = Entrusted | dict[str, list[Oid]]


class FileJournal:
    """One file of `directory`, only ever appended to: a line per entry, one per settled entry, each with its digest.

    However many entries are added at once, they cost one sync. Also for several processes at once: the small programs
    of one worker share it. `report` is told of damaged lines, once each.
    """

    def __init__(self, directory: Path, *, report: Callable[[str], None] = lambda line: None) -> None:
        self._directory = directory
        self._path = directory / "log"
        self._report = report
        self._seen: tuple[int, int] = (0, 0)
        self._lines = 0
        self._entries: list[Entrusted] = []
        self._claims: dict[Oid, None] = {}

    def add(self, *entries: Entrusted) -> None:
        """Durable when it returns; adding an entry again changes nothing. Raises NodeFull."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._alone():
                self._catch_up()
                fresh = [entry for entry in dict.fromkeys(entries) if entry not in self._entries]
                if fresh:
                    self._append([(_encode(entry), entry) for entry in fresh], sync=True)
        except OSError as error:
            raise NodeFull(
                f"cannot write the journal {str(self._directory)!r}: {error.strerror}",
                hint="free some space there; nothing is pushed that the journal does not hold",
            ) from error

    def entries(self) -> list[Entrusted]:
        """What was added and not yet settled, oldest first; damaged lines are reported and left out."""
        self._catch_up()
        return list(self._entries)

    def settle(self, *news: Oid) -> None:
        """Forgets the entries whose new tips these are. Not synced: at worst their end is found out once more."""
        if not self._path.exists():
            return
        with self._alone():
            self._catch_up()
            known = [new for new in dict.fromkeys(news) if any(entry.new == new for entry in self._entries)]
            if known:
                settled = {"settled": known}
                self._append([(_line(settled), settled)], sync=False)
            if self._lines > _WASTE + len(self._entries) + len(self._claims):
                self._shorten()

    def claims(self) -> set[Oid]:
        """The oids of the newest claims that were ever added, settled or not."""
        self._catch_up()
        return set(self._claims)

    def _append(self, lines: list[tuple[bytes, _Said]], *, sync: bool) -> None:
        """Adds lines with what they say, of a journal that was caught up with."""
        new = not self._path.exists()
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # the first newline ends what a crash may have left
            content = memoryview(b"\n" + b"".join(line for line, _ in lines))
            while content:
                content = content[os.write(handle, content) :]
            if sync:
                os.fsync(handle)
            about = os.fstat(handle)
        finally:
            os.close(handle)
        if new:
            self._sync_folder()
        if (about.st_ino, about.st_size) == (self._seen[0], self._seen[1] + 1 + sum(len(line) for line, _ in lines)):
            # nobody else wrote, so what is new there need not be read
            self._seen = about.st_ino, about.st_size
            for _, said in lines:
                self._note(said)
        self._catch_up()

    def _catch_up(self) -> None:
        """Reads what this or another process has appended since; all of it, if the file is another one now."""
        try:
            about = os.stat(self._path)
        except FileNotFoundError:
            self._seen, self._lines, self._entries, self._claims = (0, 0), 0, [], {}
            return
        if self._seen == (about.st_ino, about.st_size):
            return
        if self._seen[0] != about.st_ino or about.st_size < self._seen[1]:
            self._seen, self._lines, self._entries, self._claims = (about.st_ino, 0), 0, [], {}
        with open(self._path, "rb") as file:
            file.seek(self._seen[1])
            content = file.read()
        # a line that is still being written has no end yet
        whole = content[: content.rfind(b"\n") + 1]
        self._seen = about.st_ino, self._seen[1] + len(whole)
        for line in whole.split(b"\n"):
            if line:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            found = _decode(line)
        except (ValueError, KeyError, TypeError) as error:
            self._lines += 1
            self._report(f"a line of the journal {str(self._path)!r} is damaged and was left out: {error}")
            return
        self._note(found)

    def _note(self, found: _Said) -> None:
        """Takes in what a line says."""
        self._lines += 1
        if isinstance(found, Entrusted):
            self._entries.append(found)
            if found.kind == "claim":
                self._claims[found.new] = None
        else:
            settled = set(found.get("settled", ()))
            self._entries = [entry for entry in self._entries if entry.new not in settled]
            self._claims.update(dict.fromkeys(filter(is_oid, found.get("claims", ()))))

    def _shorten(self) -> None:
        claims = list(self._claims)[-_CLAIMS_KEPT:]
        scratch = self._directory / ".log.new"
        with open(scratch, "wb") as file:
            file.write(_line({"claims": claims}) + b"".join(map(_encode, self._entries)))
            file.flush()
            os.fsync(file.fileno())
        os.rename(scratch, self._path)
        self._sync_folder()
        self._catch_up()

    def _sync_folder(self) -> None:
        handle = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with open(self._directory / ".lock", "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _encode(entry: Entrusted) -> bytes:
    commits = [base64.b64encode(commit).decode() for commit in entry.commits]
    return _line({"ref": entry.ref, "old": entry.old, "new": entry.new, "kind": entry.kind, "commits": commits})


def _line(document: Mapping[str, object]) -> bytes:
    body = json.dumps(document).encode()
    return hashlib.sha256(body).hexdigest().encode() + b" " + body + b"\n"


def _decode(line: bytes) -> _Said:
    digest, _, body = line.partition(b" ")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("its digest does not fit its content")
    found = json.loads(body)
    if "ref" not in found:
        whole: dict[str, list[Oid]] = found
        return whole
    commits = tuple(base64.b64decode(commit, validate=True) for commit in found["commits"])
    return Entrusted(found["ref"], found["old"], found["new"], commits, found["kind"])
