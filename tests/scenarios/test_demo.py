"""The whole thing with real processes: the demo, the two commands, a worker made of the small programs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
CIT = [sys.executable, "-P", "-m", "citgit.programs.cit"]


@pytest.fixture
def world(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty HOME, no identity and no keys."""
    (tmp_path / "home").mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") and key != "CIT_DEBUG"}
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "CITGIT_HOME": str(tmp_path / "home" / "citgit"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def run(argv: list[str], cwd: Path, env: dict[str, str], status: int = 0) -> str:
    """A command that must leave with `status`; its stdout."""
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == status, (argv, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def project(folder: Path, env: dict[str, str]) -> Path:
    """The sample's C project as a repository with one commit."""
    shutil.copytree(ROOT / "sample-config-repo" / "hello", folder)
    run(["git", "init", "-q", "-b", "main"], folder, env)
    run(["git", "add", "-A"], folder, env)
    run(["git", "-c", "user.name=anna", "-c", "user.email=anna@example.org", "commit", "-qm", "one"], folder, env)
    return folder


def commit(folder: Path, env: dict[str, str], message: str) -> None:
    """Commits everything as anna."""
    argv = ["git", "-c", "user.name=anna", "-c", "user.email=anna@example.org", "commit", "-qam", message]
    run(argv, folder, env)


def test_demo(tmp_path: Path, world: dict[str, str]) -> None:
    """The demo reaches every expected result, verifies all of it and says so in JSON."""
    out = run([*CIT, "demo", "--json", "--no-self", "--dir", str(tmp_path / "demo")], tmp_path, world)
    events = [json.loads(line) for line in out.splitlines()]
    assert {"door", "queued", "claim", "result", "kill", "once", "verify", "git"} <= {one["event"] for one in events}
    further = [one["text"] for one in events if one["event"] == "further"]
    # what it says to paste is pasted
    script = "set -e\n" + "\n".join(line if "show check" not in line else f"{line} || test $? = 1" for line in further)
    pasted = run(["sh", "-c", script], tmp_path, {key: world[key] for key in ("HOME", "GIT_CONFIG_NOSYSTEM")} | SYSTEM)
    assert "check@try/fault" in pasted


def test_two_commands(tmp_path: Path, world: dict[str, str]) -> None:
    """init and run make a signed result that plain git verifies; a red build has status 1."""
    folder = project(tmp_path / "hello", world)
    run([*CIT, "init", "--name", "anna"], folder, world)
    assert "passed" in run([*CIT, "run"], folder, world)
    tips = run(["git", "for-each-ref", "--format=%(objectname)", "refs/cit/"], folder, world).split()
    for tip in tips:
        run(["git", "verify-commit", tip], folder, world)
    run(["git", "fsck", "--strict"], folder, world)
    (folder / "config.mk").write_text((folder / "config.mk").read_text().replace("FAULT = 0", "FAULT = 1"))
    commit(folder, world, "break it")
    assert "failed" in run([*CIT, "run"], folder, world, status=1)


LOOP = """
set -eu
while claim=$(cit-claim --url "$URL" --agent lab1 --home "$PLACE" --own); do
    oid=$(printf '%s\\n' "$claim" | sed -n 's/.*"claim": "\\([0-9a-f]*\\)".*/\\1/p')
    cit-build --url "$URL" --agent lab1 --home "$PLACE" --own "$oid"
    ./publish.sh
done
cit-archive --url "$URL" --agent lab1 --home "$PLACE"
"""


def test_a_worker_of_small_programs(tmp_path: Path, world: dict[str, str]) -> None:
    """A shell loop over the small programs, one of them replaced by a script, builds a job."""
    folder = project(tmp_path / "hello", world)
    run([*CIT, "init", "--name", "anna"], folder, world)
    keys = tmp_path / "home" / "citgit" / "keys"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab1", "-f", str(keys / "lab1")], tmp_path, world)
    with open(folder / "team.toml", "a") as team:
        team.write(f'\n[agent.lab1]\nkey = "{(keys / "lab1.pub").read_text().strip()}"\n')
    commit(folder, world, "register lab1")
    run([*CIT, "policy", "publish"], folder, world)
    run([*CIT, "run", "--pool", "default", "check"], folder, world)
    script = tmp_path / "publish.sh"
    script.write_text('#!/bin/sh\nexec cit-publish --url "$URL" --agent lab1 --home "$PLACE"\n')
    script.chmod(0o755)
    env = {**world, "URL": str(folder / ".git"), "PLACE": str(tmp_path / "lab1")}
    run(["sh", "-c", LOOP], tmp_path, env)
    archive = run(["git", "for-each-ref", "--format=%(refname)", "refs/cit/archive/"], folder, world).split()
    assert len(archive) == 1
    assert "passed" in run(["git", "log", "-1", "--format=%B", archive[0]], folder, world)
    assert not run(["git", "for-each-ref", "refs/cit/builds/"], folder, world)
