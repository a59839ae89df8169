"""Three nodes and three people on real sshd: logs and artifacts with and without rights, while nodes die."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from nodes import ACCOUNT, Node, Reader
from services import Sshd, real_sshd

pytestmark = [pytest.mark.privileged, pytest.mark.heavy]

AGENTS = ("lab1", "lab2", "lab3")
SIZE = 128 << 20

JOBS = f"""\
[job.large]
command = ["sh", "-c", "head -c {SIZE} /dev/urandom >large; echo done"]
keep.artifacts = ["large"]
place.executor = "process"

[job.drip]
command = ["sh", "-c", "i=0; until [ -e FOLDER/stop ]; do i=$((i+1)); echo $i; sleep 0.1; done; echo end"]
place.executor = "process"
"""


class Lab(Node):
    """Three agents, each on an sshd and in a service account of its own."""

    def __init__(self, sshds: dict[str, Sshd], *rest: object) -> None:
        self.sshds = sshds
        super().__init__(*rest)  # type: ignore[arg-type]

    def _team(self) -> str:
        team = super()._team()
        for agent, sshd in self.sshds.items():
            if agent != "lab1":
                team += self._agent(agent, f"{sshd.users[0]}@127.0.0.1:{sshd.port}")
        return team.replace(ACCOUNT, self.sshds["lab1"].users[0])

    def key(self, person: str, options: str = "") -> list[str]:
        """The person's key may read on all three; the nodes differ in their host keys, which are not looked at."""
        for agent, sshd in self.sshds.items():
            serve = f"{sshd.python()} -m citgit.programs.serve --as person:{person} --home {self.folder / agent}"
            ssh = sshd.allow(self.keys[person], serve)
        return [*ssh.replace("accept-new", "no").split(), "-p", "0", "nobody"]

    def built(self, job: str, agent: str) -> str:
        """A build of a job on an agent, to its end."""
        asked = self.site.cit("run", job, "--on", agent, "--json").documents
        self.work(agent, self.sshds[agent].users[0])
        return str(next(one["build"] for one in asked if "build" in one))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Nothing is built yet."""
    with ExitStack() as stack:
        sshds = {agent: stack.enter_context(real_sshd(f"citgit-{agent}")) for agent in AGENTS}
        stack.enter_context(real_sshd("citgit-ben"))  # makes the readers' user
        folder = stack.enter_context(sshds["lab1"].folder())
        monkeypatch.chdir(folder)
        yield Lab(sshds, folder, sshds["lab1"], monkeypatch, JOBS)


def test_three_nodes_and_three_people(lab: Lab) -> None:
    """What may be read is read from the node that has it, whatever breaks; what may not is refused by each."""
    ben, rob, eve = (lab.reader(name) for name in ("ben", "rob", "eve"))
    builds = {agent: lab.built("large", agent) for agent in AGENTS}
    for build in builds.values():
        assert ben.cit("log", build).out == "done\n"
        assert "access denied" in rob.cit("log", build, status=3).err
    assert "access denied" in eve.cit("get", builds["lab1"], "--to", str(eve.home / "to"), status=3).err
    assert not (eve.home / "to" / "large").exists()
    transfer_survives(lab, ben, builds["lab2"])
    follow_survives(lab, ben)


def transfer_survives(lab: Lab, ben: Reader, build: str) -> None:
    """The node dies in the middle of a file, and the next time what is missing comes alone."""
    to = ben.home / "to"
    get = ben.start("get", build, "--to", str(to))
    while not any(part.stat().st_size > SIZE // 10 for part in to.glob(".cit-*.part")):
        assert get.poll() is None, get.communicate()
        time.sleep(0.01)
    lab.sshds["lab2"].die()
    _, said = get.communicate(timeout=120)
    assert get.returncode == 75, said
    (part,) = to.glob(".cit-*.part")
    came = part.stat().st_size
    assert 0 < came < SIZE
    assert "scp -P" in said
    lab.sshds["lab2"].listen()
    ben.cit("get", build, "--to", str(to))
    (kept,) = (lab.folder / "lab2" / "attempts").glob("*/artifacts/large")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (kept, to / "large")]
    assert digests[0] == digests[1]
    assert list(to.glob(".cit-*")) == []


def follow_survives(lab: Lab, ben: Reader) -> None:
    """The node's network dies while a log is followed; when it is back the follower goes on where it was."""
    asked = lab.site.cit("run", "drip", "--on", "lab3", "--json").documents
    follow = ben.start("log", next(one["build"] for one in asked if "build" in one), "-f")
    assert follow.stdout is not None
    patience = threading.Timer(240, follow.kill)
    patience.start()
    said: list[str] = []
    with lab.worker("lab3", lab.sshds["lab3"].users[0]):
        for line in follow.stdout:
            said.append(line.strip())
            if len(said) == 20:
                lab.sshds["lab3"].die()
                time.sleep(3)
                lab.sshds["lab3"].listen()
            if len(said) == 100:
                (lab.folder / "stop").touch()
        assert follow.wait(timeout=120) == 0
    patience.cancel()
    assert said == [*map(str, range(1, len(said))), "end"]
