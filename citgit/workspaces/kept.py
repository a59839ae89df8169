"""What is kept of attempts in files, whole or not there for whoever looks; and whether a node takes new ones."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from citgit.errors import NotFound
from citgit.interfaces import Oid
from citgit.model.names import is_oid
from citgit.model.plan import Input
from citgit.model.record import Request

T = TypeVar("T")

CLEAN = ".finished"
OPEN = "open"
_DRAINED = "drained"


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """attempt.json: what the attempt is for, and what came from upstream; `error`: why the command never started."""

    build: str
    claim: str
    request: Request
    number: int
    own: bool = False
    inputs: tuple[Input, ...] = ()
    error: str = ""


def drained(home: Path) -> str:
    """Why nothing new may start here by the word of whoever owns the node; "" if it may."""
    try:
        return f"drained: {(home / _DRAINED).read_text().strip()[:200]}"
    except OSError:
        return ""


def unfinished(home: Path) -> dict[Oid, str]:
    """The attempts below `home` whose results are not published: claim to build id.

    However many others there are: each step of the small programs asks.
    """
    found: dict[Oid, str] = {}
    listing = home / OPEN if (home / OPEN).is_dir() else home / "attempts"
    for directory in (home / "attempts" / one.name for one in sorted(listing.glob("*"))):
        if is_oid(directory.name) and not (directory / CLEAN).exists():
            with contextlib.suppress(NotFound):
                found[directory.name] = load(directory / "attempt.json", Attempt).build
    return found


def list_open(home: Path) -> None:
    """Makes the list of the unfinished, where there is none: in a home that is new, or that had no such list."""
    if (home / OPEN).is_dir():
        return
    found, scratch = unfinished(home), home / f"{OPEN}.new"
    scratch.mkdir(exist_ok=True, mode=0o700)
    for claim in found:
        (scratch / claim).touch()
    scratch.rename(home / OPEN)


def drain(home: Path, why: str) -> None:
    """Lets nothing new start here from now on; "" for `why` lets it again."""
    if why:
        (home / _DRAINED).write_text(f"{why}\n")
    else:
        (home / _DRAINED).unlink(missing_ok=True)


def save(path: Path, value: msgspec.Struct) -> None:
    """Whole or not there for whoever looks. Not synced: what must outlive a power cut is in the journal, and nothing
    of an attempt runs any more after one; a file that it cut off is as good as none."""
    scratch = f"{str(path).removesuffix('.json')}.new"
    with open(scratch, "wb") as file:
        file.write(msgspec.json.encode(value))
    os.rename(scratch, path)


def kept(path: Path, kind: type[T]) -> T | None:
    """What was saved; None if nothing was, or not all of it."""
    try:
        with open(path, "rb", buffering=0) as file:
            return msgspec.json.decode(file.read(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def load(path: Path, kind: type[T]) -> T:
    """What was saved. Raises NotFound if nothing was, or not all of it."""
    found = kept(path, kind)
    if found is None:
        raise NotFound(f"cannot read {str(path)!r}: it is not there, or not whole")
    return found
