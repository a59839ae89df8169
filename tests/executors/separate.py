"""A node whose worker and builders are different users of this machine, all of them real."""

from __future__ import annotations

import json
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services import ROOT, Sshd, account, held
from world import until

CIT_AS = ROOT / "citgit" / "executors" / "cit-as"


def root(*argv: str, given: str = "") -> str:
    """A command of root's."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, input=given).stdout


@contextmanager
def separate(sshd: Sshd, name: str) -> Iterator[Node]:
    """A node whose users have names of their own, that no other test has meanwhile."""
    user, builders = f"citgit-{name}", (f"citgit-{name}-1", f"citgit-{name}-2")
    with held(user, *builders), sshd.folder() as folder:
        account(user)
        yield Node(sshd, folder, user, builders)


class Node:
    """A project of anna's in `folder`, whose agent lab1 runs as `user`, anna's account, and builds as `builders`."""

    def __init__(self, sshd: Sshd, folder: Path, user: str, builders: tuple[str, str]) -> None:
        self.user, self.builders = user, builders
        self.folder, self.home = folder, folder / "anna"
        self.top, self.keys = self.home / "project", self.home / "keys"
        self._cit = [str(sshd.python()), "-m", "citgit.programs.cit"]
        self.home.mkdir(mode=0o700)
        (self.home / ".ssh").mkdir()
        self.key = self.home / ".ssh" / "id_ed25519"
        root("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        (self.home / ".ssh" / "config").write_text(f"Host localhost\n  Port {sshd.port}\n  IdentityFile {self.key}\n")
        # ssh reads the configuration of the account, not of HOME
        programs = folder / "programs"
        programs.mkdir()
        (programs / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.home}/.ssh/config "$@"\n')
        (programs / "ssh").chmod(0o755)
        self.env = {
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "CITGIT_HOME": str(self.keys),
            "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "anna",
            "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_NOSYSTEM": "1", "LANG": "C.UTF-8",
        }  # fmt: skip
        self.top.mkdir()
        root("chown", "-R", f"{self.user}:", str(self.home))
        for builder in self.builders:
            self.install(builder)

    def install(self, builder: str) -> None:
        """Makes a builder, as docs/executors.md says."""
        subprocess.run(["pkill", "-KILL", "-u", builder], check=False)
        # it is in use until the last process of an earlier time, which was killed, has ended; 6: there is none
        until("userdel", lambda: subprocess.run(["userdel", builder], capture_output=True).returncode in (0, 6), 30)
        public = Path(f"{self.key}.pub").read_text()
        root("sh", str(CIT_AS), "install", builder, self.user, str(self.folder / "builders"), given=public)

    def run(self, *argv: str, ok: tuple[int, ...] = (0,), at: Path | None = None) -> subprocess.CompletedProcess[str]:
        """A command of anna's."""
        known = pwd.getpwnam(self.user)
        done = subprocess.run(
            argv, cwd=at or self.top, env=self.env, capture_output=True, text=True, check=False, user=known.pw_uid,
            group=known.pw_gid, extra_groups=[], timeout=300,
        )  # fmt: skip
        assert done.returncode in ok, (argv, done.returncode, done.stdout, done.stderr)
        return done

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """A program of anna's that goes on."""
        known = pwd.getpwnam(self.user)
        return subprocess.Popen(
            argv, cwd=self.top, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=known.pw_uid,
            group=known.pw_gid, extra_groups=[],
        )  # fmt: skip

    def cit(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        """A verb of anna's; what it prints."""
        return self.run(*self._cit, *argv, ok=ok).stdout

    def commit(self, files: dict[str, str]) -> None:
        """Files of the project."""
        for name, text in files.items():
            (self.top / name).write_text(text)
            shutil.chown(self.top / name, self.user)
        if not (self.top / ".git").exists():
            self.run("git", "init", "-q", "-b", "main")
        self.run("git", "add", ".")
        self.run("git", "commit", "-q", "-m", "a change")

    def register(self) -> None:
        """Anna is the admin, lab1 an agent."""
        self.cit("init", "--name", "anna")
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.home / "lab1"))
        public = Path(f"{self.home}/lab1.pub").read_text().strip()
        team = (self.top / "team.toml").read_text()
        self.commit({"team.toml": f'{team}\n[agent.lab1]\nkey = "{public}"\nslots = 2\n'})
        self.cit("policy", "publish")

    def worker(self, *more: str, builders: tuple[str, ...] = ()) -> list[str]:
        """The command line of lab1's worker."""
        named = [word for one in builders or self.builders for word in ("--builder", f"{one}@localhost")]
        return [
            *self._cit, "worker", "--agent", "lab1", "--key", str(self.home / "lab1"), "--own", "--no-doors",
            "--home", str(self.home / "worker"), *named, *more,
        ]  # fmt: skip

    def ask(self, job: str) -> str:
        """Asks for a build; its id."""
        told = self.cit("run", job, "--pool", "default", "--no-follow", "--json")
        return str(json.loads(told.splitlines()[0])["build"])

    def show(self, build: str) -> dict[str, Any]:
        """A build as anna reads it."""
        shown: dict[str, Any] = json.loads(self.cit("show", build, "--json", ok=(0, 1, 3, 4, 5, 75)))
        return shown

    def build(self, job: str, *more: str) -> dict[str, Any]:
        """Asks for a build, has lab1 build all that waits, and reads what came of it."""
        build = self.ask(job)
        done = self.run(*self.worker("--once", *more), ok=(0, 1, 4))
        return {**self.show(build), "told": done.stdout + done.stderr}

    def log(self, build: str) -> str:
        """What the build's commands printed."""
        logs = self.home / "worker" / "attempts" / self.show(build)["result"]["claim"] / "log"
        if not (logs / "out").exists():
            return self.cit("log", build, ok=(0, 1))  # the worker has packed it
        return (logs / "out").read_text() + (logs / "err").read_text()
