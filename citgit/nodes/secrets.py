"""Reads secrets.toml of a node: what its owner entrusts to jobs, in a file that nobody else can read."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import msgspec
import tomli

from citgit.errors import BadConfig
from citgit.model.secret import Secrets

LEAST = 8
"""Bytes of a value: a shorter one would be masked in many places where it only happens to be, or be guessed."""

_MOST_BYTES = 1 << 18
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HINT = "docs/secrets.md shows one"


def read_secrets(path: Path) -> Secrets:
    """The entries; none if there is no file. Raises BadConfig, which tells nothing of a value."""
    try:
        text = _text(path)
    except FileNotFoundError:
        return Secrets()
    except OSError as error:
        raise BadConfig(f"cannot read {str(path)!r}: {error.strerror}", hint=_HINT) from None
    try:
        table = msgspec.convert(tomli.loads(text.decode()), Secrets)
    except (ValueError, RecursionError, msgspec.ValidationError):
        # the words of such an error may hold what is secret
        raise BadConfig(f"cannot read {str(path)!r}: it does not hold what it should", hint=_HINT) from None
    for one in table.secret:
        if not _VARIABLE.fullmatch(one.name) or one.name.startswith("CIT_"):
            raise BadConfig(f"in {str(path)!r}: {one.name[:40]!a} is not the name of a variable", hint=_HINT)
        if len(one.value.encode()) < LEAST or "\0" in one.value:
            raise BadConfig(f"in {str(path)!r}: the value of {one.name} is shorter than {LEAST} bytes", hint=_HINT)
    return table


def _text(path: Path) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            raise BadConfig(f"{str(path)!r} is no file of this user's own", hint=_HINT)
        if about.st_mode & 0o077:
            raise BadConfig(f"others may read {str(path)!r}: no build gets a secret", hint=f"chmod 600 '{path}'")
        return file.read(_MOST_BYTES)
