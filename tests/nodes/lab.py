"""A laptop, a host for the state, and nodes: accounts behind a real sshd, none of which can see into another."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from programs.site import Site, make_site
from services import Sshd, held, real_sshd
from world import until

GIT = "citgit-git"
PYTHON = "/usr/bin/python3"

JOBS = """
[job.hello]
command = ["sh", "-c", "echo made by $(id -un) in $CIT_WORKSPACE; id -un > who"]
place.executor = "process"
keep.artifacts = ["who"]
[job.held]
command = ["sh", "-c", "echo begun; until test -e /tmp/citgit-lab-$CIT_COMMIT; do sleep 0.1; done; echo done"]
place.executor = "process"
"""


@dataclass
class Lab:
    """The laptop's checkout is `site`; `nodes` are accounts, each of which logs in at the state's host by itself."""

    sshd: Sshd
    site: Site
    nodes: Sequence[str]
    url: str = ""
    gates: list[Path] = field(default_factory=list)

    def host(self, node: str) -> str:
        """The node as a person types it."""
        return f"{node}@127.0.0.1:{self.sshd.port}"

    def home(self, node: str) -> Path:
        """The node's home directory."""
        return Path(pwd.getpwnam(node).pw_dir)

    def on(self, node: str, *argv: str, given: bytes = b"", status: int | None = 0) -> str:
        """A command there, by ssh; what it printed."""
        line = [*self.sshd.command.split(), "-p", str(self.sshd.port), f"{node}@127.0.0.1", *argv]
        done = subprocess.run(line, input=given, capture_output=True, check=False)
        assert status is None or done.returncode == status, (argv, done.stdout, done.stderr)
        return done.stdout.decode()

    def node(self, node: str, verb: str, agent: str) -> dict[str, Any]:
        """What `cit-node` does there."""
        return dict(json.loads(self.on(node, f".local/share/citgit/current/bin/cit-node {verb} {agent}")))

    def join(self, node: str, agent: str, *options: str) -> None:
        """Installs an agent there and publishes it."""
        self.site.cit("agent", "install", self.host(node), "--name", agent, "--own", "--python", PYTHON, *options)
        self.publish(f"add-{agent}")
        self.node(node, "wake", agent)
        # until then nobody there can say what can be built
        until("the worker", lambda: "serving" in "".join(self.node(node, "state", agent)["says"]), 60)

    def ask(self, job: str, *options: str) -> str:
        """Asks for a build; its id."""
        return str(self.site.cit("run", job, "--json", *options).documents[-1]["build"])

    def shown(self, build: str) -> dict[str, Any]:
        """What `cit show` says."""
        for _ in range(20):
            said = self.site.cit("show", build, "--json", status=None)
            if said.documents:
                return said.documents[0]
            time.sleep(0.5)
        raise AssertionError(said)

    def final(self, build: str, seconds: float = 60) -> dict[str, Any]:
        """Waits for the end of a build; what it came to."""
        end = time.monotonic() + seconds
        while (shown := self.shown(build))["state"] != "final":
            assert time.monotonic() < end, (shown, self.site.cit("why", build).out)
            time.sleep(0.3)
        return shown

    def publish(self, branch: str) -> None:
        """What `cit agent install` says to do."""
        self.site.git("merge", "-q", branch)
        self.site.git("push", "-q", "--no-verify", "origin", "main")
        self.site.cit("policy", "publish")

    def gate(self) -> Path:
        """What the job `held` waits for, at the checkout's commit."""
        path = Path(f"/tmp/citgit-lab-{self.site.git('rev-parse', 'HEAD').strip()}")
        self.gates.append(path)
        return path

    def processes(self, node: str) -> list[psutil.Process]:
        """Everything that runs as the node."""
        uid = pwd.getpwnam(node).pw_uid
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.uids().real == uid and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found

    def clear(self) -> None:
        """Ends what runs on the nodes, removes what was installed there."""
        for gate in self.gates:
            gate.unlink(missing_ok=True)
        for node in self.nodes:
            for one in self.processes(node):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
            for part in (".local", ".config", ".cache"):
                shutil.rmtree(self.home(node) / part, ignore_errors=True)


def equip(sshd: Sshd, user: str, folder: Path) -> None:
    """Lets an account log in at the state's host, as a person's own configuration of ssh would."""
    home = Path(pwd.getpwnam(user).pw_dir)
    ssh = home / ".ssh"
    shutil.rmtree(ssh, ignore_errors=True)
    ssh.mkdir(mode=0o700)
    shutil.copyfile(sshd.key, ssh / "id")
    (ssh / "id").chmod(0o600)
    (ssh / "config").write_text(
        f"Host 127.0.0.1\n  IdentityFile {ssh}/id\n  StrictHostKeyChecking accept-new\n  LogLevel ERROR\n"
    )
    sshd.give(ssh, user)


@contextmanager
def lab(monkeypatch: pytest.MonkeyPatch, *nodes: str, jobs: str = JOBS, people: Sequence[str] = ()) -> Iterator[Lab]:
    """A lab with these nodes, cleared before and afterwards; the state is a repository of the account `citgit-git`."""
    with held(*nodes, *people), real_sshd(GIT, *nodes, *people) as sshd, sshd.folder() as folder:
        monkeypatch.setenv("PATH", f"{sshd.program_folder()}:{os.environ['PATH']}")
        monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        site = make_site(folder, monkeypatch, None, jobs)
        made = Lab(sshd, site, [*nodes, *people])
        made.url = f"ssh://{GIT}@127.0.0.1:{sshd.port}{site.bare}"
        made.clear()
        for node in (*nodes, *people):
            equip(sshd, node, folder)
        sshd.give(site.bare, GIT)
        site.git("config", "citgit.state", made.url)
        site.git("remote", "set-url", "origin", made.url)
        try:
            yield made
        finally:
            made.clear()
