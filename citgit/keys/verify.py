"""Checks SSH signatures in-process: 0.2 ms each, against 7 ms for a process of ssh-keygen."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from citgit.errors import BadSignature
from citgit.keys.public import public_key_text
from citgit.keys.ssh_signature import SshSignature, to_sign, unarmor
from citgit.keys.wire import Malformed, Reader, number, string

SMALLEST_RSA = 2048
_CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com "
_TOKEN = "sk-ssh-ed25519@openssh.com"
_CURVES = {"ecdsa-sha2-nistp256": "nistp256", "ecdsa-sha2-nistp384": "nistp384", "ecdsa-sha2-nistp521": "nistp521"}
_KEYS_KEPT = 256
_ED25519: dict[bytes, Any] = {}
_HINT = "the record was changed after it was signed, or was not signed by this key"


class SshVerifier:
    """Verifies ed25519 (a FIDO token's too), ECDSA (nistp256, 384, 521), RSA from 2048 bits with SHA-2.

    A signature by an ed25519 certificate counts as one by the key in it: which keys may sign what is for the policy
    and the claims to say, not for whoever certified them.
    """

    def signer(self, payload: bytes, signature: str) -> str:
        """The public key ("type base64") that made `signature` over `payload`. Raises BadSignature, saying why."""
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

        found = unarmor(signature)
        key = public_key_text(found.key)
        try:
            if key.startswith(_CERTIFICATE):
                found = replace(found, key=_certified(found.key))
                key = public_key_text(found.key)
            _check(found, key.split(" ")[0], to_sign(payload, found.hash))
        except InvalidSignature:
            raise BadSignature("signature is not over these bytes", hint=_HINT) from None
        except (Malformed, ValueError, UnsupportedAlgorithm) as error:
            raise BadSignature(f"signature is malformed: {error}", hint=_HINT) from None
        return key


def _check(found: SshSignature, kind: str, data: bytes) -> None:
    """Raises InvalidSignature, Malformed, BadSignature."""
    if "-cert-v" in kind:
        raise BadSignature(f"certificates of type {kind[:60]!a} are not supported", hint="use an ed25519 key")
    if kind in ("ssh-ed25519", _TOKEN):
        _ed25519(found, kind, data)
    elif kind in _CURVES:
        _ecdsa(found, kind, data)
    elif kind == "ssh-rsa":
        _rsa(found, data)
    else:
        raise BadSignature(
            f"keys of type {kind[:60]!a} are not supported", hint="use ssh-ed25519, ecdsa-sha2-nistp* or ssh-rsa"
        )


def _certified(blob: bytes) -> bytes:
    """The plain key in an ed25519 certificate (OpenSSH's PROTOCOL.certkeys), whose own signature is checked.

    Raises InvalidSignature, Malformed, BadSignature.
    """
    reader = Reader(blob)
    _kind, _nonce, point = (reader.string() for _ in range(3))
    reader.take(8)  # the serial
    if reader.take(4) != (1).to_bytes(4, "big"):
        raise Malformed("its certificate is not for a user")
    for _ in range(2):  # its name, and whom it may speak for: plain git looks at that
        reader.string()
    reader.take(16)  # its times: no clock decides here
    for _ in range(3):  # options, extensions, a reserved field
        reader.string()
    authority, signature = reader.string(), reader.string()
    reader.end()
    inner = Reader(signature)
    algorithm, raw = inner.string(), inner.string()
    inner.end()
    kind = public_key_text(authority).split(" ")[0]
    signed = blob[: len(blob) - len(signature) - 4]
    _check(SshSignature(authority, "sha512", algorithm.decode("ascii", "replace"), raw), kind, signed)
    return string(b"ssh-ed25519") + string(point)


def _same(found: SshSignature, *algorithms: str) -> None:
    if found.algorithm not in algorithms:
        raise Malformed(f"its algorithm is {found.algorithm[:40]!a}, not {' or '.join(algorithms)}")


def _ed25519(found: SshSignature, kind: str, data: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    _same(found, kind)
    reader = Reader(found.key)
    reader.string()
    point = reader.string()
    if kind == _TOKEN:
        # A FIDO token signs digests, and whether somebody touched it (OpenSSH's PROTOCOL.u2f).
        flags = found.blob[64:]
        if not flags or not flags[0] & 1:
            raise Malformed("nobody touched the token")
        data = hashlib.sha256(reader.string()).digest() + flags + hashlib.sha256(data).digest()
    reader.end()
    if len(found.blob) != (69 if kind == _TOKEN else 64):
        raise Malformed(f"it has {len(found.blob)} bytes")
    public = _ED25519.get(point)
    if public is None:
        if len(_ED25519) >= _KEYS_KEPT:
            _ED25519.clear()
        public = _ED25519[point] = Ed25519PublicKey.from_public_bytes(point)
    public.verify(found.blob[:64], data)


def _ecdsa(found: SshSignature, kind: str, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    _same(found, kind)
    reader = Reader(found.key)
    reader.string()
    if reader.string() != _CURVES[kind].encode():
        raise Malformed("its key names another curve than its type")
    point = reader.string()
    reader.end()
    curves: dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
        "nistp256": (ec.SECP256R1(), hashes.SHA256()),
        "nistp384": (ec.SECP384R1(), hashes.SHA384()),
        "nistp521": (ec.SECP521R1(), hashes.SHA512()),
    }
    curve, digest = curves[_CURVES[kind]]
    if point[:1] != b"\x04":
        raise Malformed("its key is not an uncompressed point")
    reader = Reader(found.blob)
    r, s = number(reader.string()), number(reader.string())
    reader.end()
    public = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    public.verify(encode_dss_signature(r, s), data, ec.ECDSA(digest))


def _rsa(found: SshSignature, data: bytes) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    _same(found, "rsa-sha2-512", "rsa-sha2-256")
    reader = Reader(found.key)
    reader.string()
    exponent, modulus = number(reader.string()), number(reader.string())
    reader.end()
    if modulus.bit_length() < SMALLEST_RSA:
        raise BadSignature(
            f"RSA key has {modulus.bit_length()} bits, fewer than {SMALLEST_RSA}", hint="use an ed25519 key"
        )
    digest: Any = hashes.SHA512() if found.algorithm == "rsa-sha2-512" else hashes.SHA256()
    public = RSAPublicNumbers(exponent, modulus).public_key()
    public.verify(found.blob, data, PKCS1v15(), digest)
