"""`cit worker` at a state repository behind sshd: woken through the channel, at work without it when it breaks."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest
from services import Sshd
from world import World, until

pytestmark = pytest.mark.privileged


class Remote(World):
    """A world whose state is at another account, which lets its people and workers run cit-serve alone."""

    def servers(self) -> list[psutil.Process]:
        """The channels' other ends."""
        return [
            process for process in psutil.process_iter(["cmdline"])
            if {str(self.bare), "citgit.programs.serve"} <= set(process.info["cmdline"] or [])
        ]  # fmt: skip


@pytest.fixture
def world(sshd_server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """One agent, which polls by itself only once in ten minutes."""
    with sshd_server.folder() as folder:
        made = Remote(folder / "world")
        ssh = sshd_server.bind(f"{sshd_server.python()} -m citgit.programs.serve --repo {made.bare}")
        made.url = f"ssh://citgit-anna@127.0.0.1:{sshd_server.port}{made.bare}"
        made.env["GIT_SSH_COMMAND"] = ssh
        monkeypatch.setenv("GIT_SSH_COMMAND", ssh)
        monkeypatch.setenv("CITGIT_HOME", made.env["CITGIT_HOME"])
        made.git("config", "citgit.state", made.url)
        sshd_server.give(made.bare, "citgit-anna")
        yield made
        made.close()


def test_a_request_wakes_the_worker(world: Remote) -> None:
    """A build starts and ends although the next poll is far away, and so do others after the server was killed."""
    worker = world.worker(interval=600)
    until("the worker's channel", lambda: worker.told("serving") and len(world.servers()) == 1)
    world.ask()
    until("its result", lambda: worker.told("result"))
    (server,) = world.servers()
    server.kill()
    until("another channel", lambda: [one.pid for one in world.servers()] not in ([], [server.pid]))
    world.ask(3)
    until("their results", lambda: sum(one["event"] == "result" for one in worker.events()) == 4)
    assert world.executions().total() == 4
    assert not worker.told("error"), world.story()
    world.git("-c", "safe.directory=*", "-C", str(world.bare), "fsck", "--strict")
