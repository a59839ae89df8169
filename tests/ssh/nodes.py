"""A node behind a real sshd: a service account whose worker built something, and people whose keys may read it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs.site import Answer, Site, make_site
from services import Sshd

from citgit.keys.generate import generate
from citgit.ssh.call import Call, node_line

ACCOUNT = "citgit-anna"
"""The service account; nobody's own."""

JOBS = """\
[job.make]
command = ["sh", "-c", "echo hello; echo oops >&2; mkdir -p out/bin; seq 100000 >out/a.txt; echo prog >out/bin/run"]
keep.artifacts = ["out/**"]
place.executor = "process"
"""

PEOPLE = ("ben", "eve", "rob")


class Node:
    """`site` is anna's checkout, whose job was built by agent lab1; its files are at `home`, of the service account."""

    def __init__(self, folder: Path, sshd: Sshd, patch: pytest.MonkeyPatch, jobs: str = JOBS) -> None:
        self.folder, self.sshd = folder, sshd
        self.home = folder / "lab1"
        self.site: Site = make_site(folder, patch, None, jobs)
        self.keys = {"anna": folder / "citgit" / "keys" / "anna"}
        team = self._team()
        self.site.commit("a team", team_toml=(self.site.top / "team.toml").read_text() + team)
        self.site.git("push", "-q", "--no-verify", "origin", "main")
        self.site.cit("policy", "publish")
        patch.setenv("GIT_SSH_COMMAND", sshd.command)

    def _team(self) -> str:
        public = generate(self.folder / "citgit" / "keys" / "lab1", "lab1")
        host = f"ssh://{ACCOUNT}@127.0.0.1:{self.sshd.port}"
        team = f'\n[agent.lab1]\nkey = "{public}"\nhost = "{host}"\n'
        for name in PEOPLE:
            self.keys[name] = self.folder / "citgit" / "keys" / name
            roles = {"ben": '["request", "read"]', "rob": '["request"]', "eve": "[]"}[name]
            team += f'\n[person.{name}]\nkeys = ["{generate(self.keys[name], name)}"]\nroles = {roles}\n'
        return team

    def build(self, *jobs: str) -> list[str]:
        """Builds jobs by the worker, to their end; their ids."""
        asked = self.site.cit("run", *jobs, "--json", status=None)
        self.work()
        return [one["build"] for one in map(json.loads, asked.out.splitlines()) if "build" in one]

    def work(self, *options: str) -> Answer:
        """One worker's life."""
        answer = self.site.cit("worker", "--agent", "lab1", "--own", "--once", "--no-doors", "--home", str(self.home),
                               "--url", str(self.site.bare), *options)  # fmt: skip
        self.sshd.give(self.home, ACCOUNT)
        self.sshd.give(self.site.bare, ACCOUNT)
        return answer

    def claim(self, build: str) -> str:
        """The claim of a build's last attempt."""
        shown = self.site.cit("show", build, "--json", status=None).documents[0]
        return str(shown["result"]["claim"])

    def key(self, person: str, options: str = "") -> list[str]:
        """The start of an ssh command line by which a person reaches the node: their key may run cit-serve alone."""
        serve = f"{self.sshd.python()} -m citgit.programs.serve --as person:{person} --home {self.home} {options}"
        return [*self.sshd.bind(serve.strip()).split(), "-p", str(self.sshd.port), f"{ACCOUNT}@127.0.0.1"]

    def call(self, key: list[str], verb: str, *words: str) -> Call:
        """A verb, begun."""
        return Call([*key, node_line(verb, *words)], node="lab1", patience=30)

    def raw(self, key: list[str], line: str) -> subprocess.CompletedProcess[bytes]:
        """Any command line, sent by ssh as it is."""
        return subprocess.run([*key, line], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


@pytest.fixture
def node(sshd_server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node that has built nothing yet."""
    with sshd_server.folder() as folder:
        monkeypatch.chdir(folder)
        yield Node(folder, sshd_server, monkeypatch)
