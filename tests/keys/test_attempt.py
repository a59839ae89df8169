"""Attempt keys through the product: results signed by keys that nobody registered, which readers and git believe."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from citgit.errors import BadSignature
from citgit.keys.attempt import CertifiedKeys
from citgit.keys.public import fingerprint
from citgit.keys.verify import SshVerifier
from citgit.programs.cit import main

ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "anna", "GIT_COMMITTER_EMAIL": "a@example.org",
}  # fmt: skip


def git(*argv: str, at: Path) -> str:
    """What git says, on both streams."""
    done = subprocess.run(["git", *argv], cwd=at, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_key_for_each_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Claims by the agent's key name two others, which sign the results; lost, the agent's own signs for them."""
    top, key = tmp_path / "project", tmp_path / "lab1"
    top.mkdir()
    for name, value in {**ENVIRONMENT, "HOME": str(tmp_path), "CITGIT_HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(top)
    git("init", "-q", "-b", "main", at=top)
    (top / "cit.toml").write_text('[job.check]\ncommand = ["true"]\n')
    git("add", ".", at=top)
    git("commit", "-q", "-m", "first", at=top)
    assert main(["init", "--name", "anna"]) == 0
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(key)], check=True)
    with open(top / "team.toml", "a") as team:
        team.write(f'\n[agent.lab1]\nkey = "{Path(f"{key}.pub").read_text().strip()}"\n')
    git("commit", "-q", "-am", "lab1", at=top)
    assert main(["policy", "publish"]) == 0
    worker = ["worker", "--agent", "lab1", "--key", str(key), "--own", "--no-doors", "--once", "--home"]
    for more in (["w1", "--attempt-keys"], ["w2", "--attempt-keys"], ["w3"]):
        assert main(["run", "check", "--pool", "default", "--no-follow"]) == 0
        assert main([*worker, *more]) == 0
    assert main(["verify", "--all"]) == 0
    made = {fingerprint(path.read_text()) for path in top.glob("w*/attempt-keys/*/key.pub")}
    assert len(made) == 2
    said = git("log", "--all", "--show-signature", "--format=%s", at=top)
    signed = re.findall(r'Good "git" signature for (\S+) with (\S+) key (\S+)\n(.*)', said)
    results = [(who, print_) for who, _, print_, subject in signed if subject.startswith("result")]
    assert {who for who, _ in results} == {"agent:lab1"}
    assert {print_ for _, print_ in results} >= made
    assert {print_ for who, _, print_, subject in signed if subject.startswith("claim")}.isdisjoint(made)
    git("verify-commit", *git("rev-list", "--glob=refs/cit/", at=top).split(), at=top)


def test_keys_that_are_not_there(tmp_path: Path) -> None:
    """A key that cannot be certified leaves nothing; one that is gone has no signer."""
    keys = CertifiedKeys(tmp_path / "keys", tmp_path / "no-such-key", "agent:lab1")
    with pytest.raises(BadSignature, match="cannot certify"):
        keys.make()
    assert os.listdir(tmp_path / "keys") == []
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "ca")], check=True)
    keys = CertifiedKeys(tmp_path / "keys", tmp_path / "ca", "agent:lab1")
    public = keys.make()
    signer = keys.signer(public)
    assert signer is not None
    assert SshVerifier().signer(b"x", signer.sign(b"x")) == public == signer.public_key
    (tmp_path / "keys" / os.listdir(tmp_path / "keys")[0] / "key").unlink()
    assert keys.signer(public) is None
