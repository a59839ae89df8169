"""OpenSSH public keys as team.toml lists them: recognised by their bytes, not by what the line says."""

from __future__ import annotations

import base64
import binascii

from citgit.model.pattern import pattern

_CURVES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
_RSA_BITS = 2048
_LINE = pattern(r"(\S+) ([A-Za-z0-9+/=]+)(?: [^\r\n]*)?")
ALLOWED = "an OpenSSH public key of type ssh-ed25519, ecdsa-sha2-nistp256, -nistp384, -nistp521 or ssh-rsa"


def key_fault(line: str) -> str:
    """What is wrong with `line` as a public key ("ssh-ed25519 AAAA… comment"); empty if nothing is."""
    if "PRIVATE KEY" in line:
        return "this is a private key; it is no secret any more: make a new pair and write the line of its .pub file"
    found = _LINE.fullmatch(line)
    if not found:
        return f"not a public key; allowed: {ALLOWED}"
    try:
        blob = base64.b64decode(found[2], validate=True)
        kind, *parts = _strings(blob)
    except (binascii.Error, ValueError):
        return "not a public key: its base64 part is cut off or mistyped; copy the whole line of the .pub file"
    if kind != found[1].encode("ascii", "replace"):
        return f"not a public key: the type in front does not fit the bytes; allowed: {ALLOWED}"
    return _kind_fault(found[1], parts)


def key_identity(line: str) -> str:
    """What makes two lines the same key: type and bytes, without the comment."""
    return " ".join(line.split()[:2])


def _strings(blob: bytes) -> list[bytes]:
    """The length-prefixed strings that `blob` is made of. Raises ValueError if it is made of something else."""
    parts, at = [], 0
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        part = blob[at + 4 : at + 4 + size]
        if at + 4 > len(blob) or len(part) != size:
            raise ValueError("cut off")
        parts.append(part)
        at += 4 + size
    if not parts:
        raise ValueError("empty")
    return parts


def _kind_fault(kind: str, parts: list[bytes]) -> str:
    curve = kind.removeprefix("ecdsa-sha2-")
    if kind == "ssh-ed25519":
        right = [len(part) for part in parts] == [32]
    elif kind != curve and curve in _CURVES:
        right = len(parts) == 2 and parts[0] == curve.encode() and len(parts[1]) == _CURVES[curve]
    elif kind == "ssh-rsa":
        right = len(parts) == 2 and bool(parts[0])
        if right and int.from_bytes(parts[1], "big").bit_length() < _RSA_BITS:
            return f"an RSA key of less than {_RSA_BITS} bits; allowed: {ALLOWED}"
    else:
        return f"a key type that is not supported; allowed: {ALLOWED}"
    return "" if right else "not a public key: its bytes are not those of its type; copy the line of the .pub file"
