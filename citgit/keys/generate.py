"""Makes a new signing key."""

from __future__ import annotations

import os
from pathlib import Path

from citgit.errors import UsageError
from citgit.keys.public import read_public_key


def generate(path: Path, comment: str) -> str:
    """Writes a new ed25519 key pair to `path` (0600) and `path`.pub; returns the public key, without the comment.

    Raises:
        UsageError: one of the files exists, or cannot be written; nothing is ever overwritten.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if any(character < " " for character in comment):
        raise UsageError(f"not a comment for a key: {comment[:80]!a}")
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    beside = path.with_name(path.name + ".pub")
    if beside.exists():
        raise _exists(beside)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _create(path, private, 0o600)
    _create(beside, public + b" " + comment.encode() + b"\n", 0o644)
    return read_public_key(beside)


def _create(path: Path, content: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise UsageError(f"cannot write the key {str(path)!r}: {error.strerror}", hint="name another place") from error
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)


def _exists(path: Path) -> UsageError:
    return UsageError(f"will not overwrite the key {str(path)!r}", hint="use it, or name another file")
