"""Encryption to people's keys with age: ssh-ed25519 and ssh-rsa keys as they are, a key of its own for the others."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from citgit.errors import Unsupported, UsageError


class AgeVault:
    """Seals for any keys; opens with what the files of `identities` hold: ssh private keys, or age identities."""

    def __init__(self, identities: Sequence[Path] = ()) -> None:
        self._paths = identities
        self._known: list[Any] | None = None

    def seal(self, plain: bytes, keys: Sequence[str]) -> str:
        """An age file, base64. Raises Unsupported without pyrage; UsageError for a key that age does not know."""
        pyrage = _pyrage()
        try:
            to = [
                pyrage.x25519.Recipient.from_str(key) if key.startswith("age1") else pyrage.ssh.Recipient.from_str(key)
                for key in keys
            ]
            return base64.b64encode(pyrage.encrypt(plain, to)).decode()
        except (pyrage.RecipientError, pyrage.EncryptError) as error:
            raise UsageError(f"cannot hide anything for these keys: {error}", hint="cit policy show") from None

    def ready(self) -> None:
        """Raises Unsupported without pyrage."""
        _pyrage()

    def open(self, sealed: str) -> bytes | None:
        """The plain text; None if no identity here opens it, or it is damaged. Raises Unsupported without pyrage."""
        known = self._identities()
        if not known:
            return None
        pyrage = _pyrage()
        try:
            plain: bytes = pyrage.decrypt(base64.b64decode(sealed, validate=True), known)
            return plain
        except (pyrage.DecryptError, binascii.Error, ValueError):
            return None

    def _identities(self) -> list[Any]:
        if self._known is None:
            found = [(path, path.read_bytes()) for path in self._paths if path.is_file()]
            self._known = [one for path, data in found if (one := _identity(data)) is not None]
        return self._known


def age_file(key: Path) -> Path:
    """Where the age identity beside a signing key is kept, if that key itself cannot decrypt."""
    return key.with_name(key.name.removesuffix(".pub") + ".age")


def ensure_identity(path: Path) -> str:
    """The public half ("age1…") of the identity in the file, made if it is missing. Raises Unsupported, UsageError."""
    pyrage = _pyrage()
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(f"{pyrage.x25519.Identity.generate()}\n")
                file.flush()
                os.fsync(handle)
        return str(pyrage.x25519.Identity.from_str(path.read_text().strip()).to_public())
    except (OSError, pyrage.IdentityError) as error:
        raise UsageError(f"cannot use the age key {str(path)!r}: {error}", hint="put it out of the way") from error


def _identity(data: bytes) -> Any:
    """The identity in a file; None if it holds none that age can use: ECDSA, a passphrase, an agent's."""
    pyrage = _pyrage()
    try:
        if data.startswith(b"AGE-SECRET-KEY-"):
            return pyrage.x25519.Identity.from_str(data.decode().strip())
        return pyrage.ssh.Identity.from_buffer(data)
    except (pyrage.IdentityError, ValueError):
        return None


def _pyrage() -> Any:
    try:
        import pyrage
        import pyrage.ssh
        import pyrage.x25519
    except ImportError:
        raise Unsupported(
            "private builds need the library pyrage, which is not installed", hint="pip install 'citgit[private]'"
        ) from None
    return pyrage
