"""The strict forms: one signature has one text, one key has one text, and new keys overwrite nothing."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from citgit.errors import BadSignature, UsageError
from citgit.keys.files import FileSigner
from citgit.keys.generate import generate
from citgit.keys.public import allowed_signers, parse_public_key, read_public_key
from citgit.keys.ssh_signature import unarmor
from citgit.keys.verify import SshVerifier
from citgit.keys.wire import Malformed, mpint, number, string

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICVHuewpAAc+CpPOk+0wd1YK4Qf3ZmwHBXu1791crp6K"
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


@pytest.fixture
def signature(tmp_path: Path) -> str:
    """A good one over b"x"."""
    generate(tmp_path / "key", "anna")
    return FileSigner(tmp_path / "key").sign(b"x")


def body(signature: str) -> bytes:
    """The bytes inside the armor."""
    return base64.b64decode("".join(signature.split("\n")[1:-2]))


def armored(data: bytes) -> str:
    """Bytes in armor."""
    text = base64.b64encode(data).decode()
    return "\n".join([BEGIN, *(text[at : at + 70] for at in range(0, len(text), 70)), END, ""])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"SSHSIG", b"SSHSIX", "does not start with SSHSIG"),
        (b"\0\0\0\1", b"\0\0\0\2", "version is 2"),
        (string(b"git"), string(b"file"), "namespace b'file'"),
        (string(b"git") + string(b""), string(b"git") + string(b"x"), "reserved"),
        (string(b"sha512"), string(b"sha1"), "hash is b'sha1'"),
        (string(b"sha512"), string(b"sha256"), "not over these bytes"),
        (string(b"ssh-ed25519") + b"\0\0\0\x40", string(b"ssh-ed25519") + b"\0\0\0\x3f", "too many"),
    ],
)
def test_every_field_is_checked(signature: str, old: bytes, new: bytes, words: str) -> None:
    """A signature that is not exactly of the form is refused, saying which part is wrong."""
    data = body(signature)
    assert old in data
    with pytest.raises(BadSignature, match=words):
        SshVerifier().signer(b"x", armored(data.replace(old, new, 1)))


def test_nothing_follows_and_nothing_is_missing(signature: str) -> None:
    """No byte may be added to, or cut from, a signature."""
    data = body(signature)
    with pytest.raises(BadSignature, match="1 bytes too many"):
        unarmor(armored(data + b"\0"))
    for size in range(len(data)):
        with pytest.raises(BadSignature):
            unarmor(armored(data[:size]))


def test_one_text_for_one_signature(signature: str) -> None:
    """Other spellings of the same base64 are refused: records are compared by their bytes."""
    lines = signature.split("\n")
    spaced = [lines[0], lines[1] + " ", *lines[2:]]
    long = [lines[0], "".join(lines[1:-2]), *lines[-2:]]
    blank = [lines[0], "", *lines[1:]]
    for other in (spaced, long, blank, [line + "\r" for line in lines]):
        with pytest.raises(BadSignature):
            unarmor("\n".join(other))
    assert unarmor(signature.removesuffix("\n")) == unarmor(signature)


def test_missing_signature_is_called_missing() -> None:
    """A commit that nobody signed is told apart from one that is signed wrongly."""
    with pytest.raises(BadSignature, match="signature is missing"):
        unarmor("")
    with pytest.raises(BadSignature, match="not an SSH signature"):
        unarmor("-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n")


def test_numbers_have_one_form() -> None:
    """The mpint of ECDSA signatures is read only in its shortest form."""
    for value in (1, 127, 128, 255, 256, 1 << 255):
        assert number(mpint(value)) == value
    for data in (b"", b"\0", b"\0\1", b"\x80"):
        with pytest.raises(Malformed):
            number(data)


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 AAAA", "ssh-rsa " + KEY.split()[1], KEY + "=", "ssh-ed25519 é"],
)
def test_bad_public_keys(text: str) -> None:
    """What is no public key is refused, quoted, with an example of one."""
    with pytest.raises(BadSignature, match="not an SSH public key") as caught:
        parse_public_key(text)
    assert "ssh-ed25519 AAAA" in caught.value.hint


def test_generated_key(tmp_path: Path) -> None:
    """A new key is private, carries its comment, and is never written over an old one."""
    public = generate(tmp_path / "deep" / "key", "lab1 signing")
    assert os.stat(tmp_path / "deep" / "key").st_mode & 0o777 == 0o600
    assert (tmp_path / "deep" / "key.pub").read_text() == f"{public} lab1 signing\n"
    assert read_public_key(tmp_path / "deep" / "key.pub") == public
    before = (tmp_path / "deep" / "key").read_bytes()
    for gone in ("nothing", "key.pub", "key"):
        if gone != "nothing":
            (tmp_path / "deep" / gone).rename(tmp_path / gone)
        if gone != "key":
            with pytest.raises(UsageError, match="will not overwrite the key"):
                generate(tmp_path / "deep" / "key", "again")
    assert (tmp_path / "key").read_bytes() == before


def test_comment_stays_one_line(tmp_path: Path) -> None:
    """A comment cannot add a line to the .pub file."""
    with pytest.raises(UsageError, match="not a comment"):
        generate(tmp_path / "key", "anna\nssh-ed25519 AAAA")


def test_allowed_signers() -> None:
    """Every key with its name once, for the namespace git only; a name cannot smuggle in another line."""
    other = KEY.replace("VHuew", "VHueA")
    text = allowed_signers([("anna", KEY + " comment"), ("ben", other), ("anna", KEY)])
    assert text == f'anna namespaces="git" {KEY}\nben namespaces="git" {other}\n'
    for name in ("", "a b", "a\nb", "*", '"', "-x"):
        with pytest.raises(UsageError, match="not a signer's name"):
            allowed_signers([(name, KEY)])
