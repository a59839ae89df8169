"""Signers and verifiers: ours, ssh-keygen's and git's must agree on every kind of key, and on what is wrong."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from citgit.errors import BadSignature
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import run
from citgit.interfaces import EMPTY_TREE, Signer, Verifier
from citgit.keys.files import FileSigner
from citgit.keys.generate import generate
from citgit.keys.program import SshKeygenSigner, signer_for
from citgit.keys.public import allowed_signers, fingerprint
from citgit.keys.verify import SshVerifier
from citgit.records.commit import parse, signed, unsigned
from citgit.testing.keys import FakeSigner, FakeVerifier

KINDS = ["ed25519", "ecdsa-256", "ecdsa-384", "ecdsa-521", "rsa-2048", "rsa-3072"]


@pytest.fixture(scope="module", params=KINDS)
def key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key without a passphrase, one of each kind."""
    kind, _, bits = request.param.partition("-")
    path = tmp_path_factory.mktemp("keys") / request.param
    size = ["-b", bits] if bits else []
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", "anna", "-f", str(path)], check=True)
    return path


def ssh_verify(signer: Signer, payload: bytes, signature: str, folder: Path) -> bool:
    """What ssh-keygen says."""
    (folder / "signers").write_text(allowed_signers([("anna", signer.public_key)]))
    (folder / "signature").write_text(signature)
    argv = ["ssh-keygen", "-Y", "verify", "-n", "git", "-I", "anna", "-f", "signers", "-s", "signature"]
    return subprocess.run(argv, input=payload, cwd=folder, capture_output=True, check=False).returncode == 0


def check_pair(signer: Signer, verifier: Verifier) -> None:
    """The contract of a signer and a verifier that belong together."""
    for payload in (b"", b"a record\n", bytes(range(256)) * 300):
        signature = signer.sign(payload)
        assert signature.isascii()
        assert signature.endswith("-----\n")
        assert verifier.signer(payload, signature) == signer.public_key
        with pytest.raises(BadSignature, match="not over these bytes") as caught:
            verifier.signer(payload + b"x", signature)
        assert caught.value.hint
    for damaged in ("", "x", signature.replace("A", "B", 1), signature[:-2], signature + "\n", " " + signature):
        with pytest.raises(BadSignature):
            verifier.signer(payload, damaged)


def test_in_process(key: Path, tmp_path: Path) -> None:
    """A key file signs in-process what we and ssh-keygen accept."""
    signer = FileSigner(key)
    check_pair(signer, SshVerifier())
    assert signer.public_key == " ".join(Path(f"{key}.pub").read_text().split()[:2])
    for number in range(25):  # short ECDSA numbers turn up now and then
        payload = b"record %d" % number
        assert SshVerifier().signer(payload, signer.sign(payload)) == signer.public_key
    assert ssh_verify(signer, payload, signer.sign(payload), tmp_path)
    assert not ssh_verify(signer, payload + b"x", signer.sign(payload), tmp_path)


def test_by_ssh_keygen(key: Path) -> None:
    """What ssh-keygen signs, we accept."""
    check_pair(SshKeygenSigner(key), SshVerifier())


def test_fakes() -> None:
    """The simulation's pair keeps the same contract, and its keys read as keys."""
    check_pair(FakeSigner("lab1"), FakeVerifier())
    assert fingerprint(FakeSigner("lab1").public_key).startswith("SHA256:")
    assert FakeSigner("lab1").public_key != FakeSigner("lab2").public_key


def test_git_agrees_about_commits(key: Path, tmp_path: Path) -> None:
    """A commit built and signed here passes git verify-commit and fsck, and fails for another signer."""
    init_bare(tmp_path / "clone.git")
    objects, signer = GitObjects(tmp_path / "clone.git"), FileSigner(key)
    payload = unsigned(tree=EMPTY_TREE, parents=(), author="anna", mail="a@lab1", time=1_700_000_000, message="m\n")
    objects.write_tree([])
    oid = objects.write("commit", signed(payload, signer.sign(payload)))
    found = parse(objects.read(oid)[1], oid)
    assert SshVerifier().signer(found.payload, found.signature) == signer.public_key

    def verify(known: str) -> int:
        (tmp_path / "signers").write_text(allowed_signers([("anna", known)]))
        settings = ["gpg.format=ssh", f"gpg.ssh.allowedSignersFile={tmp_path / 'signers'}"]
        return run(["verify-commit", oid], git_dir=tmp_path / "clone.git", settings=settings).status

    assert verify(signer.public_key) == 0
    assert verify(generate(tmp_path / "other", "ben")) != 0
    assert run(["fsck", "--strict", "--no-dangling"], git_dir=tmp_path / "clone.git").status == 0


def test_fingerprint_is_openssh_s(key: Path) -> None:
    """People compare fingerprints with what ssh-keygen shows."""
    shown = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], capture_output=True, text=True, check=True).stdout
    assert shown.split()[1] == fingerprint(Path(f"{key}.pub").read_text())


def test_old_pem_form(tmp_path: Path) -> None:
    """A key in PEM form works too."""
    path = tmp_path / "pem"
    argv = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", str(path)]
    subprocess.run(argv, check=True)
    check_pair(FileSigner(path), SshVerifier())


def test_key_in_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .pub file whose private key only an agent holds signs; without the agent the error says what to do."""
    generate(tmp_path / "key", "anna")
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        for _ in range(200):
            if subprocess.run(["ssh-add", str(tmp_path / "key")], capture_output=True, check=False).returncode == 0:
                break
        (tmp_path / "key").unlink()
        check_pair(signer_for(tmp_path / "key.pub"), SshVerifier())
    finally:
        agent.terminate()
        agent.wait()
    with pytest.raises(BadSignature, match="cannot sign with") as caught:
        signer_for(tmp_path / "key.pub").sign(b"x")
    assert caught.value.hint == f"load the key into your agent: ssh-add {tmp_path / 'key'}"


def test_passphrase_goes_to_ssh_keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A protected key is left to ssh-keygen, which may ask; where nobody answers, that is told."""
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(path)], check=True)
    askpass = tmp_path / "askpass"
    askpass.write_text("#!/bin/sh\necho secret\n")
    askpass.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(askpass))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    assert isinstance(signer_for(path), SshKeygenSigner)
    check_pair(signer_for(path), SshVerifier())
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    with pytest.raises(BadSignature, match="cannot sign with"):
        signer_for(path).sign(b"x")


def test_weak_rsa(tmp_path: Path) -> None:
    """An RSA key of 1024 bits is refused by its size."""
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", str(tmp_path / "weak")], check=True)
    with pytest.raises(BadSignature, match="1024 bits"):
        SshVerifier().signer(b"x", FileSigner(tmp_path / "weak").sign(b"x"))


def by_certificate(folder: Path, *options: str, kind: str = "ed25519") -> str:
    """A signature over "x" by a certificate that the key `ca` made for another key."""
    generate(folder / "ca", "ca")
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / "key")], check=True)
    argv = ["ssh-keygen", "-q", "-s", "ca", "-I", "attempt", "-n", "agent:lab1", *options, "key.pub"]
    subprocess.run(argv, cwd=folder, check=True, capture_output=True)
    shutil.copy(folder / "key", folder / "key-cert")  # where ssh-keygen looks for a certificate's key
    argv = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", "key-cert.pub"]
    return subprocess.run(argv, input=b"x", cwd=folder, capture_output=True, check=True).stdout.decode()


def test_certificate(tmp_path: Path) -> None:
    """A signature by a certificate counts as one by its key; git takes it for the agent that certified it alone."""
    signature = by_certificate(tmp_path)
    assert SshVerifier().signer(b"x", signature) == " ".join((tmp_path / "key.pub").read_text().split()[:2])
    with pytest.raises(BadSignature, match="not over these bytes"):
        SshVerifier().signer(b"y", signature)
    ca = " ".join((tmp_path / "ca.pub").read_text().split()[:2])
    (tmp_path / "signers").write_text(allowed_signers([("agent:lab1", ca), ("person:anna", ca)]))
    (tmp_path / "signature").write_text(signature)
    argv = ["ssh-keygen", "-Y", "verify", "-n", "git", "-f", "signers", "-s", "signature", "-I"]
    for name, good in (("agent:lab1", True), ("person:anna", False)):
        done = subprocess.run([*argv, name], input=b"x", cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode == 0) is good


def test_damaged_certificate(tmp_path: Path) -> None:
    """Any byte of it changed is noticed: by the authority's signature, or by the key's."""
    lines = by_certificate(tmp_path).split("\n")
    data = bytearray(base64.b64decode("".join(lines[1:-2])))
    for at in range(10, len(data), 7):
        changed = data.copy()
        changed[at] ^= 1
        text = base64.b64encode(changed).decode()
        split = [text[start : start + 70] for start in range(0, len(text), 70)]
        with pytest.raises(BadSignature):
            SshVerifier().signer(b"x", "\n".join([lines[0], *split, lines[-2], ""]))


@pytest.mark.parametrize(("kind", "options", "told"), [("ecdsa", (), "not supported"), ("ed25519", ("-h",), "a user")])
def test_other_certificates(tmp_path: Path, kind: str, options: tuple[str, ...], told: str) -> None:
    """Of another key type, or for hosts."""
    with pytest.raises(BadSignature, match=told):
        SshVerifier().signer(b"x", by_certificate(tmp_path, *options, kind=kind))


def test_missing_key(tmp_path: Path) -> None:
    """A key that is not there is named, with what would make it."""
    with pytest.raises(Exception, match="cannot read the public key") as caught:
        signer_for(tmp_path / "none")
    assert "ssh-keygen -y" in caught.value.hint  # type: ignore[attr-defined]


@pytest.mark.parametrize("content", ["", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "-----BEGIN X-----\nx\n"])
def test_damaged_key(tmp_path: Path, content: str) -> None:
    """A file that is no key is a typed error, whatever it holds."""
    (tmp_path / "key").write_text(content)
    with pytest.raises(BadSignature):
        FileSigner(tmp_path / "key")


def test_token_signature_needs_a_touch(tmp_path: Path) -> None:
    """A FIDO token's signature is checked as ssh-keygen does; one that nobody touched is refused."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from citgit.keys.ssh_signature import armor, to_sign
    from citgit.keys.wire import string

    private, kind = Ed25519PrivateKey.generate(), b"sk-ssh-ed25519@openssh.com"
    blob = string(kind) + string(private.public_key().public_bytes_raw()) + string(b"ssh:")
    text = f"{kind.decode()} {base64.b64encode(blob).decode()}"

    def sign(payload: bytes, flags: int) -> str:
        tail = bytes([flags]) + (7).to_bytes(4, "big")
        told = hashlib.sha256(b"ssh:").digest() + tail + hashlib.sha256(to_sign(payload)).digest()
        plain = armor(blob, kind.decode(), private.sign(told))
        data = base64.b64decode("".join(plain.split("\n")[1:-2]))
        inner = string(kind) + string(private.sign(told))
        grown = data[: -len(inner) - 4] + string(inner + tail)
        lines = base64.b64encode(grown).decode()
        split = [lines[at : at + 70] for at in range(0, len(lines), 70)]
        return "\n".join([plain.split("\n")[0], *split, plain.split("\n")[-2], ""])

    assert SshVerifier().signer(b"x", sign(b"x", 1)) == text
    (tmp_path / "signers").write_text(allowed_signers([("anna", text)]))
    (tmp_path / "signature").write_text(sign(b"x", 1))
    argv = ["ssh-keygen", "-Y", "verify", "-n", "git", "-I", "anna", "-f", "signers", "-s", "signature"]
    assert subprocess.run(argv, input=b"x", cwd=tmp_path, capture_output=True, check=False).returncode == 0
    with pytest.raises(BadSignature, match="touched"):
        SshVerifier().signer(b"x", sign(b"x", 0))
    with pytest.raises(BadSignature, match="not over these bytes"):
        SshVerifier().signer(b"y", sign(b"x", 1))
