"""A node behind a real sshd: a service account whose worker built something, and people whose keys may read it."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from programs.site import Answer, Site, make_site
from services import Sshd

from citgit.keys.generate import generate
from citgit.ssh.call import Call, node_line

ACCOUNT = "citgit-anna"
"""The service account; nobody's own."""

READER = "citgit-ben"
"""The unix user as whom readers' verbs run."""

JOBS = """\
[job.make]
command = ["sh", "-c", "echo hello; echo oops >&2; mkdir -p out/bin; seq 100000 >out/a.txt; echo prog >out/bin/run"]
keep.artifacts = ["out/**"]
place.executor = "process"
env.set = { LEFT = "behind" }

[job.drip]
command = ["sh", "-c", "i=0; until [ -e FOLDER/stop ]; do i=$((i+1)); echo $i; sleep 0.1; done; echo end"]
place.executor = "process"
"""

PEOPLE = {"ben": '["request", "read"]', "cat": '["read"]', "rob": '["request"]', "eve": "[]"}
"""Who is in the team, and their roles."""


class Node:
    """`site` is anna's checkout, whose job was built by agent lab1; its files are at `home`, of the service account."""

    def __init__(self, folder: Path, sshd: Sshd, patch: pytest.MonkeyPatch, jobs: str = JOBS) -> None:
        self.folder, self.sshd = folder, sshd
        self.home = folder / "lab1"
        self.site: Site = make_site(folder, patch, None, jobs.replace("FOLDER", str(folder)))
        self.keys = {"anna": folder / "citgit" / "keys" / "anna"}
        self._readers: dict[str, Reader] = {}
        team = self._team()
        self.site.commit("a team", team_toml=(self.site.top / "team.toml").read_text() + team)
        self.site.git("push", "-q", "--no-verify", "origin", "main")
        self.site.cit("policy", "publish")
        patch.delenv("GIT_SSH_COMMAND", raising=False)

    def _team(self) -> str:
        team = self._agent("lab1", f"{ACCOUNT}@127.0.0.1:{self.sshd.port}")
        for name, roles in PEOPLE.items():
            self.keys[name] = self.folder / "citgit" / "keys" / name
            team += f'\n[person.{name}]\nkeys = ["{generate(self.keys[name], name)}"]\nroles = {roles}\n'
        return team

    def _agent(self, name: str, host: str) -> str:
        public = generate(self.folder / "citgit" / "keys" / name, name)
        return f'\n[agent.{name}]\nkey = "{public}"\nhost = "{host}"\n'

    def build(self, *jobs: str) -> list[str]:
        """Builds jobs by the worker, to their end; their ids."""
        asked = self.site.cit("run", *jobs, "--json", status=None)
        self.work()
        return [one["build"] for one in map(json.loads, asked.out.splitlines()) if "build" in one]

    def work(self, agent: str = "lab1", account: str = ACCOUNT) -> None:
        """One worker's life: it builds what waits."""
        with self.worker(agent, account, "--once") as process:
            assert process.wait(timeout=240) == 0

    @contextmanager
    def worker(self, agent: str = "lab1", account: str = ACCOUNT, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of the service account, until it is not needed any more."""
        files = self.folder / agent
        files.mkdir(mode=0o700, exist_ok=True)
        key = self.folder / f"{agent}-key"
        shutil.copyfile(self.folder / "citgit" / "keys" / agent, key)
        for path in (files, key, self.site.bare):
            self.sshd.give(path, account)
        key.chmod(0o600)
        argv = [str(self.sshd.python().parent / "cit"), "worker", "--agent", agent, "--own", "--no-doors", "--home",
                str(files), "--url", str(self.site.bare), "--key", str(key), *options]  # fmt: skip
        home = pwd.getpwnam(account).pw_dir
        env = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        process = subprocess.Popen(argv, user=account, group=account, extra_groups=[], env=env, cwd=home,
                                   stdout=subprocess.DEVNULL)  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            process.wait()
            self.sshd.give(self.site.bare, "root")

    def claim(self, build: str) -> str:
        """The claim of a build's last attempt."""
        shown = self.site.cit("show", build, "--json", status=None).documents[0]
        return str(shown["result"]["claim"])

    def key(self, person: str, options: str = "") -> list[str]:
        """The start of an ssh command line by which a person reaches the node: their key may run cit-serve alone."""
        serve = f"{self.sshd.python()} -m citgit.programs.serve --as person:{person} --home {self.home} {options}"
        if person not in self.keys:
            self.keys[person] = self.folder / "citgit" / "keys" / person
            generate(self.keys[person], person)
        ssh = self.sshd.allow(self.keys[person], serve.strip())
        return [*ssh.split(), "-p", str(self.sshd.port), f"{ACCOUNT}@127.0.0.1"]

    def reader(self, person: str, options: str = "") -> Reader:
        """A person's own checkout, on a machine where they have no access to the node's files."""
        if person not in self._readers:
            self._readers[person] = Reader(self, person, self.key(person, options)[:-3])
        return self._readers[person]

    def call(self, key: list[str], verb: str, *words: str) -> Call:
        """A verb, begun."""
        return Call([*key, node_line(verb, *words)], node="lab1", patience=30)

    def raw(self, key: list[str], line: str) -> subprocess.CompletedProcess[bytes]:
        """Any command line, sent by ssh as it is."""
        return subprocess.run([*key, line], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


class Reader:
    """A person's checkout; their verbs run as a unix user who is nobody on the node."""

    def __init__(self, node: Node, person: str, ssh: list[str]) -> None:
        self.home = node.folder / f"of-{person}"
        self.top = self.home / "project"
        self.home.mkdir()
        self.key = self.home / "key"
        shutil.copyfile(node.keys[person], self.key)
        self.key.chmod(0o600)
        subprocess.run(["git", "clone", "-q", str(node.site.bare), str(self.top)], check=True)
        command = " ".join(ssh).replace(str(node.keys[person]), str(self.key))
        command = command.replace(str(node.sshd.key.parent), str(self.home))
        settings = {"citgit.person": person, "citgit.key": str(self.key), "core.sshCommand": command}
        for name, value in settings.items():
            subprocess.run(["git", "-C", str(self.top), "config", name, value], check=True)
        for home in (self.home, node.folder):
            (home / ".gitconfig").write_text("[safe]\n\tdirectory = *\n")
        node.sshd.give(self.home, READER)
        self.program = node.sshd.python().parent / "cit"

    def argv(self, *argv: str) -> list[str]:
        """The command line of a verb in the checkout."""
        return [str(self.program), argv[0], "-C", str(self.top), *argv[1:]]

    def use(self, ssh: str) -> str:
        """From now on ssh is called so; how it was called before."""
        before = subprocess.check_output(["git", "-C", str(self.top), "config", "core.sshCommand"], text=True).strip()
        subprocess.run(["git", "-C", str(self.top), "config", "core.sshCommand", ssh], check=True)
        return before

    def start(self, *argv: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """A verb, begun."""
        env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            self.argv(*argv), user=READER, group=READER, extra_groups=[], env=env, cwd=self.home,
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def cit(self, *argv: str, status: int | None = 0) -> Answer:
        """A verb, which must end with `status` (None: with any)."""
        process = self.start(*argv)
        out, err = process.communicate(timeout=240)
        answer = Answer(process.returncode, out, err)
        assert status is None or answer.status == status, (argv, answer)
        return answer


@pytest.fixture(scope="module")
def node(sshd_server: Sshd) -> Iterator[Node]:
    """A node of its own for a file's tests, which has built nothing yet."""
    with sshd_server.folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield Node(folder, sshd_server, patch)


@pytest.fixture(scope="module")
def build(node: Node) -> str:
    """What the node has built: job `make`."""
    return node.build("make")[0]
