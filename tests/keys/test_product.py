"""Every kind of key through the verbs: init, run and worker sign with it, and plain git agrees about every record."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from citgit.programs.cit import main

CIT = '[job.check]\ncommand = ["true"]\n'
KINDS = {
    "ed25519": ("-t", "ed25519"), "ecdsa": ("-t", "ecdsa", "-b", "384"), "rsa": ("-t", "rsa", "-b", "2048"),
    "in-agent": ("-t", "ecdsa", "-b", "256"), "passphrase": ("-t", "ed25519"),
}  # fmt: skip


def shell(*argv: str, cwd: Path, **env: str) -> str:
    """A command that must succeed; its stdout and stderr."""
    done = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **env})
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout + done.stderr


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real ssh-agent."""
    socket = tmp_path / "agent"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    for _ in range(200):
        if socket.exists():
            break
        time.sleep(0.02)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    running.terminate()
    running.wait()


@pytest.fixture
def keys(tmp_path: Path, agent: None) -> dict[str, Path]:
    """A key of each kind, as `--key` names it: one exists only in the agent, one has a passphrase."""
    askpass = tmp_path / "askpass"
    askpass.write_text("#!/bin/sh\necho secret\n")
    askpass.chmod(0o755)
    made = {}
    for name, kind in KINDS.items():
        path = tmp_path / name
        secret = "secret" if name == "passphrase" else ""
        shell("ssh-keygen", "-q", *kind, "-N", secret, "-C", name, "-f", str(path), cwd=tmp_path)
        if name in ("in-agent", "passphrase"):
            shell(
                "ssh-add", str(path), cwd=tmp_path, SSH_ASKPASS=str(askpass), SSH_ASKPASS_REQUIRE="force", DISPLAY=":0"
            )
        made[name] = path
    made["in-agent"].unlink()
    made["in-agent"] = made["in-agent"].with_name("in-agent.pub")
    return made


def test_every_kind_of_key_through_the_product(
    tmp_path: Path, keys: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each person asks with a key of another kind, an agent with one that only ssh-agent holds."""
    top = tmp_path / "project"
    top.mkdir()
    for key, value in {
        "HOME": str(tmp_path), "CITGIT_HOME": str(tmp_path / "home"), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "anna",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }.items():  # fmt: skip
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(top)
    shell("git", "init", "-q", "-b", "main", cwd=top)
    (top / "cit.toml").write_text(CIT)
    shell("git", "add", ".", cwd=top)
    shell("git", "commit", "-q", "-m", "first", cwd=top)
    assert main(["init", "--name", "anna", "--key", str(keys["in-agent"])]) == 0
    others = {name: path for name, path in keys.items() if name != "in-agent"}
    with open(top / "team.toml", "a") as team:
        for name, path in others.items():
            public = path.with_name(f"{name}.pub").read_text().strip()
            team.write(f'\n[person.{name}]\nkeys = ["{public}"]\nroles = ["request"]\ngroups = ["dev"]\n')
        shell("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(tmp_path / "lab1"), cwd=tmp_path)
        shell("ssh-add", str(tmp_path / "lab1"), cwd=tmp_path)
        (tmp_path / "lab1").unlink()
        team.write(f'\n[agent.lab1]\nkey = "{(tmp_path / "lab1.pub").read_text().strip()}"\nslots = 2\n')
    shell("git", "commit", "-q", "-am", "team", cwd=top)
    assert main(["policy", "publish"]) == 0
    for name, path in others.items():
        shell("git", "config", "citgit.person", name, cwd=top)
        shell("git", "config", "citgit.key", str(path), cwd=top)
        assert main(["run", "check", "--pool", "default", "--no-follow"]) == 0
    argv = ["worker", "--agent", "lab1", "--key", str(tmp_path / "lab1.pub"), "--own", "--no-doors", "--once"]
    assert main(argv) == 0
    assert main(["verify", "--all"]) == 0
    commits = shell("git", "rev-list", "--glob=refs/cit/", cwd=top).split()
    shell("git", "verify-commit", *commits, cwd=top)
    log = shell("git", "log", "--show-signature", "--glob=refs/cit/", cwd=top)
    signers = set(re.findall(r'Good "git" signature for (\S+)', log))
    assert signers == {f"person:{name}" for name in others} | {"person:anna", "agent:lab1"}
    assert log.count('Good "git" signature for') == len(commits)
