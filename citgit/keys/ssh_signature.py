"""The SSHSIG format (OpenSSH's PROTOCOL.sshsig): what is signed, and the armored block around a signature."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from citgit.errors import BadSignature
from citgit.keys.wire import Malformed, Reader, string

NAMESPACE = b"git"
_MAGIC = b"SSHSIG"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_LARGEST = 16_384  # an RSA key of 16,384 bits needs about 6,000


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A parsed signature: the key's blob, the digest's name, the algorithm and its raw signature blob."""

    key: bytes
    hash: str
    algorithm: str
    blob: bytes


def to_sign(payload: bytes, hash: str = "sha512") -> bytes:
    """The bytes that the key itself signs."""
    digest = hashlib.new(hash, payload).digest()
    return _MAGIC + string(NAMESPACE) + string(b"") + string(hash.encode()) + string(digest)


def armor(key: bytes, algorithm: str, blob: bytes, hash: str = "sha512") -> str:
    """The block that git puts into a commit, as ssh-keygen writes it, ending in a newline."""
    inner = string(algorithm.encode()) + string(blob)
    body = _MAGIC + (1).to_bytes(4, "big") + string(key) + string(NAMESPACE) + string(b"")
    text = base64.b64encode(body + string(hash.encode()) + string(inner)).decode()
    return "\n".join([_BEGIN, *_wrapped(text), _END, ""])


def _wrapped(text: str) -> list[str]:
    """In lines as long as ssh-keygen's."""
    return [text[start : start + 70] for start in range(0, len(text), 70)]


def unarmor(text: str) -> SshSignature:
    """Reads a block; of several ways to write the same signature only the usual one is accepted.

    Raises:
        BadSignature: it is missing, malformed, or for another purpose than signing git objects.
    """
    if not text:
        raise BadSignature("signature is missing", hint="sign it with an SSH key that the policy knows")
    lines = text.removesuffix("\n").split("\n")
    if len(text) > _LARGEST or len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise BadSignature("signature is not an SSH signature", hint="use `gpg.format = ssh`; other kinds do not count")
    try:
        return _parse(_decode(lines[1:-1]))
    except Malformed as error:
        raise BadSignature(f"signature is malformed: {error}", hint="it was damaged, or made by another tool") from None


def _decode(lines: list[str]) -> bytes:
    text = "".join(lines)
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Malformed("it is not base64") from None
    # One signature, one text: it is not signed itself, so stray bits or odd line breaks would make two records of one.
    if base64.b64encode(data).decode() != text or lines != _wrapped(text):
        raise Malformed("its base64 is not in the usual form")
    return data


def _parse(data: bytes) -> SshSignature:
    reader = Reader(data)
    if reader.take(6) != _MAGIC:
        raise Malformed("it does not start with SSHSIG")
    version = int.from_bytes(reader.take(4), "big")
    if version != 1:
        raise Malformed(f"its version is {version}, not 1")
    key, namespace, reserved, hash, inner = (reader.string() for _ in range(5))
    reader.end()
    if namespace != NAMESPACE:
        raise Malformed(f"it is for the namespace {namespace[:40]!a}, not 'git'")
    if reserved:
        raise Malformed("its reserved field is not empty")
    if hash not in (b"sha256", b"sha512"):
        raise Malformed(f"its hash is {hash[:40]!a}, not sha256 or sha512")
    reader = Reader(inner)
    algorithm, blob = reader.string(), reader.string()
    if algorithm.startswith(b"sk-"):
        blob += reader.take(5)  # a FIDO token's flags and counter follow its signature, and are signed too
    reader.end()
    return SshSignature(key, hash.decode(), algorithm.decode("ascii", "replace"), blob)
