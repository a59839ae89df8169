"""What a worker's home is for, written down for those who come to read what its attempts left: worker.json."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from citgit.model.names import DEFAULT_ROOT

_FILE = "worker.json"


class About(msgspec.Struct, frozen=True, kw_only=True):
    """worker.json: the state repository, whose worker it is ("agent:lab1"), what requests call "self" there."""

    version: int = 1
    url: str
    actor: str
    source: str
    root: str = DEFAULT_ROOT


def describe(home: Path, about: About) -> None:
    """Writes it, unless it is there already. Raises OSError."""
    if described(home) == about:
        return
    scratch = home / f".{_FILE}.new"
    scratch.write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n")
    scratch.replace(home / _FILE)


def described(home: Path) -> About | None:
    """What the home is for; None if its worker has not said so."""
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode((home / _FILE).read_bytes(), type=About)
    return None
