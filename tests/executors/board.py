"""A board: an account behind a real sshd that finds sshd's own programs, git and a shell, and no Python."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace
from services import Sshd, real_sshd

from citgit.executors.ssh import LEASE_S, ssh
from citgit.executors.target import Target
from citgit.git.sent import sending
from citgit.interfaces import Executor
from citgit.logs.capture import TOOLS, Capture
from citgit.model.plan import Plan
from citgit.ssh.target import TargetHost
from citgit.testing.executors import Bench

USER = "citgit-board"
PROGRAMS = (
    "sh", "git", "tar", "grep", "cat", "mkfifo", "mkdir", "rm", "mv", "chmod", "find", "sleep", "wc", "touch", "id",
    "uname", "getconf", "df", "env", "make", "cp", "ln",
)  # fmt: skip


class Board:
    """The account `USER` of `sshd`; `path` is all that it finds programs in."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.sshd, self.folder = sshd, folder
        self.path = sshd.key.parent / "programs-of-board"
        self.path.mkdir()
        for name in PROGRAMS:
            (self.path / name).symlink_to(str(shutil.which(name)))
        config = Path(f"{sshd.key.parent}/sshd_config")
        config.write_text(f"{config.read_text()}Match User {USER}\nSetEnv PATH={self.path}\nMatch all\n")
        sshd.stop()
        sshd.listen()
        self.host_key = (sshd.key.parent / "hostkey.pub").read_text().strip()
        self.login = f"{USER}@127.0.0.1:{sshd.port}"

    @property
    def home(self) -> Path:
        """The account's home directory."""
        return Path(pwd.getpwnam(USER).pw_dir)

    def target(self, folder: str = ".cit-target") -> Target:
        """It as a worker sees it, as freshly as after a restart."""
        host = TargetHost(self.login, self.folder / "known", key=str(self.sshd.key), host_key=self.host_key)
        return Target(host, folder, ("git", "make", "sh", "gcc"))

    def executor(self, target: Target | None = None, lease: int = LEASE_S) -> Executor:
        """A fresh executor."""
        return ssh(target or self.target(), TOOLS, sending, Capture(), lease=lease)

    def clear(self) -> None:
        """Ends what runs there, removes what was put there."""
        subprocess.run(["pkill", "-KILL", "-u", USER], check=False)
        shutil.rmtree(self.home / ".cit-target", ignore_errors=True)


@contextmanager
def board(folder: Path) -> Iterator[Board]:
    """A board, cleared before and afterwards."""
    # the account is this machine's: no other process of the tests has it meanwhile
    with open("/tmp/citgit-board.lock", "w") as held, real_sshd(USER) as sshd:
        fcntl.flock(held, fcntl.LOCK_EX)
        folder.mkdir(parents=True, exist_ok=True)
        made = Board(sshd, folder)
        made.clear()
        try:
            yield made
        finally:
            made.clear()


def checkout(top: Path, files: dict[str, str]) -> str:
    """A repository with one commit that has these files; the commit."""
    top.mkdir(parents=True)
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    who = {f"GIT_{role}_{what}": "anna@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "a change"]):
        subprocess.run(["git", "-C", str(top), *words], check=True, env={**os.environ, **who})
    done = subprocess.run(["git", "-C", str(top), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


class BoardBench(Bench):
    """A bench whose plans run at the board."""

    board: Board

    def plan(self, *command: str, seconds: int = 60, output: int = 10**6, network: bool = True) -> Plan:
        """A plan for a new attempt, its checkout laid out here."""
        plan = super().plan(*command, seconds=seconds, output=output, network=network)
        root = Path(plan.directory).parent
        checkout(root / "laid", {"README": "a project\n"})
        room = self.board.target().room(plan.claim, f"{plan.build}.{len(self.made)}")
        env = {**plan.env, "HOME": room.home, "TMPDIR": room.temporary, "PATH": f"{self.board.path}:/usr/bin:/bin"}
        self.made[-1] = replace(
            plan, workspace=room.workspace, cwd=room.workspace, env=env, builder=room.builder, away=True,
            laid=str(root / "laid"), executor="ssh",
        )  # fmt: skip
        return self.made[-1]
