"""Signatures for simulations: fast, deterministic, and as worthless as they look."""

from __future__ import annotations

import base64
import hashlib

from citgit.errors import BadSignature

_BEGIN, _END = "-----BEGIN FAKE SIGNATURE-----", "-----END FAKE SIGNATURE-----"


def fake_public_key(name: str) -> str:
    """A public key in OpenSSH's form that belongs to nobody; the same name always gives the same key."""
    kind = b"ssh-ed25519"
    point = hashlib.sha256(b"fake key of " + name.encode()).digest()
    blob = len(kind).to_bytes(4, "big") + kind + len(point).to_bytes(4, "big") + point
    return "ssh-ed25519 " + base64.b64encode(blob).decode()


def _digest(key: str, payload: bytes) -> str:
    return hashlib.sha256(key.encode() + b"\0" + payload).hexdigest()


class FakeSigner:
    """Signs as `name`."""

    def __init__(self, name: str) -> None:
        self._key = fake_public_key(name)

    @property
    def public_key(self) -> str:
        """The key that `fake_public_key` gives for the name."""
        return self._key

    def sign(self, payload: bytes) -> str:
        """Key and digest between two lines."""
        return f"{_BEGIN}\n{self._key}\n{_digest(self._key, payload)}\n{_END}\n"


class FakeVerifier:
    """Accepts what FakeSigner made over exactly these bytes."""

    def signer(self, payload: bytes, signature: str) -> str:
        """The public key. Raises BadSignature."""
        lines = signature.split("\n")
        if len(lines) != 5 or (lines[0], lines[3], lines[4]) != (_BEGIN, _END, ""):
            raise BadSignature("signature is malformed", hint="the record was not written by FakeSigner")
        if lines[2] != _digest(lines[1], payload):
            raise BadSignature("signature is not over these bytes", hint="the record was changed after it was signed")
        return lines[1]
