"""The journal: every push as a file, durable before it is sent, so that nobody forgets what they may have done."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from citgit.errors import NodeFull
from citgit.interfaces import Entrusted, Oid
from citgit.model.names import is_oid

# A claim is of interest until its build is archived; after this many newer ones it has long been.
_CLAIMS_KEPT = 10_000


class FileJournal:
    """Entries as files of `directory`, one each, named by their order; `report` is told of damaged ones.

    Also for several processes at once: the small programs of one worker share it.
    """

    def __init__(self, directory: Path, *, report: Callable[[str], None] = lambda line: None) -> None:
        self._directory = directory
        self._report = report

    def add(self, entry: Entrusted) -> None:
        """Durable when it returns; adding an entry again changes nothing. Raises NodeFull."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._alone():
                if entry.kind == "claim":
                    self._keep_claim(entry.new)
                if not any(known == entry for _, known in self._read(entry.new)):
                    number = max((int(path.name[:12]) for path in self._paths()), default=0) + 1
                    self._write(f"{number:012d}-{entry.new}", _encode(entry))
        except OSError as error:
            raise NodeFull(
                f"cannot write the journal {str(self._directory)!r}: {error.strerror}",
                hint="free some space there; nothing is pushed that the journal does not hold",
            ) from error

    def entries(self) -> list[Entrusted]:
        """What was added and not yet settled, oldest first; damaged files are reported and left for a person."""
        return [entry for _, entry in self._read()]

    def settle(self, new: Oid) -> None:
        """Forgets the entry whose new tip this is."""
        if not self._directory.is_dir():
            return
        with self._alone():
            for path, _ in list(self._read(new)):
                path.unlink(missing_ok=True)
            self._sync()

    def claims(self) -> set[Oid]:
        """The oids of the newest claims that were ever added, settled or not."""
        return set(self._claims())

    def _paths(self, new: Oid = "") -> list[Path]:
        return sorted(self._directory.glob(f"[0-9]*-{new or '[0-9a-f]*'}"))

    def _read(self, new: Oid = "") -> Iterator[tuple[Path, Entrusted]]:
        """The entries, or those of one new tip: their names tell, so a long journal is not read for each."""
        for path in self._paths(new):
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # settled by another process meanwhile
                continue
            try:
                yield path, _decode(content)
            except (ValueError, KeyError, TypeError) as error:
                self._report(f"journal entry {str(path)!r} is damaged and was left out: {error}")

    def _claims(self) -> list[Oid]:
        try:
            lines = (self._directory / "claims").read_text("ascii", "replace").split("\n")
        except FileNotFoundError:
            return []
        # the last line may have been cut off by a crash: it names a claim that was not sent
        return [line for line in lines if is_oid(line)]

    def _keep_claim(self, claim: Oid) -> None:
        known = self._claims()
        if claim in known:
            return
        if len(known) >= 2 * _CLAIMS_KEPT:
            self._write("claims", "".join(f"{each}\n" for each in [*known[-_CLAIMS_KEPT:], claim]).encode())
            return
        with open(self._directory / "claims", "ab") as file:
            file.write(f"\n{claim}\n".encode())  # the first newline ends what a crash may have left
            file.flush()
            os.fsync(file.fileno())
        self._sync()

    def _write(self, name: str, content: bytes) -> None:
        temporary = self._directory / f".tmp-{name}"
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, self._directory / name)
        self._sync()

    def _sync(self) -> None:
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
    body = json.dumps(
        {"ref": entry.ref, "old": entry.old, "new": entry.new, "kind": entry.kind, "commits": commits}
    ).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n"


def _decode(content: bytes) -> Entrusted:
    digest, _, body = content.removesuffix(b"\n").partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("its digest does not fit its content")
    found = json.loads(body)
    commits = tuple(base64.b64decode(commit, validate=True) for commit in found["commits"])
    return Entrusted(found["ref"], found["old"], found["new"], commits, found["kind"])
