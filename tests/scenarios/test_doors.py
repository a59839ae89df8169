"""Three doors on one push, with real processes: a developer's hook, a server's hook behind a real sshd, a worker."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from services import Sshd, programs_for_all, real_sshd

ROOT = Path(__file__).resolve().parents[2]
CIT = [sys.executable, "-P", "-m", "citgit.programs.cit"]
ANNA, BEN = "citgit-doors-anna", "citgit-doors-ben"


class Place:
    """A shared bare repository that both users reach over ssh, and whoever works on it, each in a HOME of their own."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        self.folder, self.sshd = folder, sshd
        self.bare = folder / "project.git"
        self.programs = programs_for_all(folder)

    def url(self, user: str) -> str:
        """The repository as `user` reaches it."""
        return f"ssh://{user}@127.0.0.1:{self.sshd.port}{self.bare}"

    def env(self, who: str) -> dict[str, str]:
        """A developer's machine: an empty HOME, an identity, ssh."""
        home = self.folder / who / "home"
        home.mkdir(parents=True, exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        return {
            **kept, "HOME": str(home), "CITGIT_HOME": str(home / "citgit"), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_SSH_COMMAND": self.sshd.command, "GIT_AUTHOR_NAME": who, "GIT_AUTHOR_EMAIL": f"{who}@example.org",
            "GIT_COMMITTER_NAME": who, "GIT_COMMITTER_EMAIL": f"{who}@example.org",
        }  # fmt: skip

    def run(self, who: str, *argv: str, status: int = 0) -> str:
        """A command in `who`'s clone; what it said."""
        done = subprocess.run(
            argv, cwd=self.folder / who / "clone", env=self.env(who), capture_output=True, text=True, check=False,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == status, (argv, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def cit(self, who: str, *argv: str, status: int = 0) -> str:
        """A verb in `who`'s clone."""
        return self.run(who, *CIT, *argv, status=status)

    def as_user(self, user: str, *argv: str) -> str:
        """A command as the unix user, on the server."""
        about = pwd.getpwnam(user)
        done = subprocess.run(
            argv, user=about.pw_uid, group=about.pw_gid, extra_groups=os.getgrouplist(user, about.pw_gid),
            cwd=about.pw_dir, env={"HOME": about.pw_dir, "PATH": f"{self.programs}:/usr/bin:/bin", "USER": user},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout


@pytest.fixture
def place() -> Iterator[Place]:
    """The shared repository, owned by one user, writable for the group."""
    with real_sshd(ANNA, BEN) as sshd, sshd.folder() as folder:
        subprocess.run(["groupadd", "--force", "citgit-doors"], check=True)
        for user in (ANNA, BEN):
            subprocess.run(["usermod", "-a", "-G", "citgit-doors", user], check=True)
            shutil.rmtree(Path(pwd.getpwnam(user).pw_dir, ".local"), ignore_errors=True)
        made = Place(folder, sshd)
        init = ["git", "init", "-q", "--bare", "--shared=group", "-b", "main", str(made.bare)]
        subprocess.run(init, check=True)
        subprocess.run(["chown", "-R", f"{ANNA}:citgit-doors", str(made.bare)], check=True)
        yield made


def project(place: Place) -> None:
    """anna's clone, made ready over ssh; the server's hook and the agent lab1 in the policy."""
    (place.folder / "anna").mkdir()
    shutil.copytree(ROOT / "sample-config-repo" / "hello", place.folder / "anna" / "clone")
    place.run("anna", "git", "init", "-q", "-b", "main")
    place.run("anna", "git", "remote", "add", "origin", place.url(ANNA))
    place.run("anna", "git", "add", "-A")
    place.run("anna", "git", "commit", "-qm", "A greeting")
    place.cit("anna", "init", "--name", "anna")
    key = place.folder / "hook-key"
    told = place.as_user(ANNA, "cit", "init", "-C", str(place.bare), "--key", str(key_home(place) / "key"))
    shutil.copy(key_home(place) / "key", key)
    shutil.chown(key, ANNA, "citgit-doors")
    key.chmod(0o640)
    place.as_user(ANNA, "git", "-C", str(place.bare), "config", "citgit.hookKey", str(key))
    hook = told[told.index("[agent.server-hook]") :]
    agent = place.folder / "lab1" / "key"
    agent.parent.mkdir()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab1", "-f", str(agent)], check=True)
    with open(place.folder / "anna" / "clone" / "team.toml", "a") as team:
        team.write(f'\n{hook}\n[agent.lab1]\nkey = "{agent.with_suffix(".pub").read_text().strip()}"\n')
    place.run("anna", "git", "commit", "-qam", "Register the hook and lab1")
    place.cit("anna", "policy", "publish")


def key_home(place: Place) -> Path:
    """A folder of the repository's owner, for the key that init makes."""
    home = place.folder / "server"
    if not home.exists():
        home.mkdir()
        shutil.chown(home, ANNA)
    return home


@contextmanager
def worker(place: Place) -> Iterator[Path]:
    """lab1's worker, as a process, over ssh as the other user; its folder."""
    home = place.folder / "lab1" / "home"
    log = open(place.folder / "lab1.log", "wb")  # noqa: SIM115
    argv = [
        *CIT, "worker", "--agent", "lab1", "--key", str(place.folder / "lab1" / "key"), "--url", place.url(BEN),
        "--home", str(home), "--own", "--interval", "0.5",
    ]  # fmt: skip
    process = subprocess.Popen(argv, env=place.env("ben"), stdout=log, stderr=log)
    try:
        until(lambda: (home / "heads.json").exists(), place)
        yield home
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()


def until(ready: Callable[[], bool], place: Place) -> None:
    """Waits; tells what the worker said if it takes too long."""
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end, (place.folder / "lab1.log").read_text()
        time.sleep(0.2)


def builds(place: Place) -> list[dict[str, object]]:
    """All builds as anna sees them."""
    out = place.cit("anna", "status", "--all", "--json")
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


@pytest.mark.heavy
@pytest.mark.privileged
def test_three_doors_make_one_build(place: Place) -> None:
    """All three notice the same push and come to the same request; it is built once, and others' pushes are too."""
    project(place)
    with worker(place) as home:
        said = place.run("anna", "git", "push", "origin", "main")
        pushed = place.run("anna", "git", "rev-parse", "HEAD").strip()
        assert "\ncit: check on main: " in "\n" + said, said
        assert "remote: cit: check on main: " in said, said
        until(lambda: json.loads((home / "heads.json").read_text()).get("main") == pushed, place)
        until(lambda: [one["outcome"] for one in builds(place)] == ["passed"], place)
        (only,) = builds(place)
        assert only["build"] in said
        assert said.count(str(only["build"])) == 2, said
        shown = json.loads(place.cit("anna", "show", str(only["build"]), "--json"))
        kinds = [one["record"]["type"] for one in shown["records"]]
        assert (kinds.count("request"), kinds.count("claim"), kinds.count("result")) == (1, 1, 1)

        # ben does not own the repository, and has no hook of his own: the server's speaks, as him
        (place.folder / "ben").mkdir(exist_ok=True)
        clone = ["git", "clone", "-q", place.url(BEN), str(place.folder / "ben" / "clone")]
        subprocess.run(clone, check=True, env=place.env("ben"))
        place.run("ben", "git", "commit", "-q", "--allow-empty", "-m", "Again")
        said = place.run("ben", "git", "push", "origin", "main")
        assert "remote: cit: check on main: queued " in said or "remote: cit: check on main: known " in said, said
        until(lambda: [one["outcome"] for one in builds(place)] == ["passed", "passed"], place)
