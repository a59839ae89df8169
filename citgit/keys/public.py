"""Public keys as text: one form, fingerprints, and an allowed_signers file for plain git."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from pathlib import Path

from citgit.errors import BadSignature, NotFound, UsageError
from citgit.keys.wire import Malformed, Reader
from citgit.model.pattern import pattern

_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._@+:-]*")


def parse_public_key(text: str) -> tuple[str, bytes]:
    """Type and blob of "type base64 [comment]".

    Raises:
        BadSignature: it is not in that form, or the blob is of another type than the text says.
    """
    parts = text.split()
    hint = "give the content of a .pub file, such as 'ssh-ed25519 AAAA…'"
    if len(parts) < 2:
        raise BadSignature(f"not an SSH public key: {text[:80]!a}", hint=hint)
    try:
        blob = base64.b64decode(parts[1].encode("ascii"), validate=True)
        kind = Reader(blob).string().decode("ascii")
    except (binascii.Error, UnicodeError, Malformed):
        raise BadSignature(f"not an SSH public key: {text[:80]!a}", hint=hint) from None
    if kind != parts[0] or base64.b64encode(blob).decode() != parts[1]:
        raise BadSignature(f"not an SSH public key: {text[:80]!a} says {kind[:40]!a} inside", hint=hint)
    return kind, blob


def public_key_text(blob: bytes) -> str:
    """The one form in which keys are compared: "type base64". Raises BadSignature."""
    try:
        kind = Reader(blob).string().decode("ascii")
    except (Malformed, UnicodeError):
        raise BadSignature("a public key is malformed", hint="it was damaged, or made by another tool") from None
    return f"{kind} {base64.b64encode(blob).decode()}"


def read_public_key(path: Path) -> str:
    """The key in a .pub file, without its comment. Raises NotFound, BadSignature."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        raise NotFound(
            f"cannot read the public key {str(path)!r}: {error.strerror}",
            hint=f"make it from the private key: ssh-keygen -y -f {path.with_suffix('')} > {path}",
        ) from error
    return public_key_text(parse_public_key(text)[1])


def fingerprint(public_key: str) -> str:
    """As OpenSSH shows it: "SHA256:…". Raises BadSignature."""
    digest = hashlib.sha256(parse_public_key(public_key)[1]).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def allowed_signers(keys: Iterable[tuple[str, str]]) -> str:
    """An allowed_signers file for (name, public key) pairs, with which `git verify-commit` agrees.

    It lists who signed, never who may: authority comes from the policy. An agent is an authority for certificates
    as well, with which the keys of its attempts sign. Raises BadSignature, UsageError.
    """
    lines: list[str] = []
    for name, key in keys:
        if not _NAME.fullmatch(name):
            raise UsageError(f"not a signer's name: {name[:80]!a}", hint="use letters, digits and . _ @ + : -")
        bare = public_key_text(parse_public_key(key)[1])
        lines.append(f'{name} namespaces="git" {bare}\n')
        if name.startswith("agent:"):
            lines.append(f'{name} cert-authority,namespaces="git" {bare}\n')
    return "".join(dict.fromkeys(lines))
