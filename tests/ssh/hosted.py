"""A real repository with a policy and builds behind a real sshd, whose keys may run `cit-serve` alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Sshd
from stage import Stage

from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.git.remote import GitRemote
from citgit.interfaces import Oid
from citgit.ssh.address import ssh_address
from citgit.ssh.channel import command_line
from citgit.ssh.connection import Chosen, Connection
from citgit.ssh.remote import ChannelRemote
from citgit.testing.remotes import Client

ROOT = "refs/cit/"


class Hosted:
    """The host: `stage` makes honest and forged records, `given` lists what became of them here."""

    def __init__(self, folder: Path, sshd: Sshd, stage: Stage) -> None:
        self.folder, self.sshd, self.stage = folder, sshd, stage
        self.git_dir = folder / "host.git"
        init_bare(self.git_dir, state_only=True)
        self.publish()
        self.url = f"ssh://citgit-anna@127.0.0.1:{sshd.port}{self.git_dir}"
        self.clients: list[ChannelRemote] = []

    def publish(self) -> None:
        """What the stage has, at the host."""
        objects = GitObjects(self.git_dir)
        for kind, data in self.stage.host.objects.content.values():
            objects.write(kind, data)
        for ref, oid in self.stage.host.refs.items():
            must(["update-ref", "--", ref, oid], git_dir=self.git_dir, doing="place a ref")
        self.sshd.give(self.git_dir, "citgit-anna")

    def at(self, ref: str) -> Oid | None:
        """Where the host has the ref."""
        listing = must(["for-each-ref", "--format=%(objectname) %(refname)"], git_dir=self.git_dir, doing="list").stdout
        found = dict(reversed(line.split(" ")) for line in listing.decode().splitlines())
        return found.get(ref)

    def key(self, options: str = "") -> str:
        """The ssh command of a new key that may run cit-serve on this repository."""
        return self.sshd.bind(f"{self.sshd.python()} -m citgit.programs.serve --repo {self.git_dir} {options}".rstrip())

    def line(self, ssh: str) -> list[str]:
        """The command line of a channel."""
        return [*ssh.split(), "-p", str(self.sshd.port), "citgit-anna@127.0.0.1", command_line(str(self.git_dir))]

    def client(self, ssh: str, *, again: float = 0.0, timeout: float = 20) -> Client:
        """A client that logs in so; what it has is its own."""
        mine = self.folder / f"client{len(self.clients)}.git"
        init_bare(mine)
        address = ssh_address(self.url)
        assert address is not None
        way, objects = Connection(address, Chosen(command=ssh)), GitObjects(mine)
        git = GitRemote(mine, self.url, timeout=timeout, environment=lambda: {"GIT_SSH_COMMAND": ssh})
        remote = ChannelRemote(git, objects, way, ROOT, timeout=timeout, again=again)
        self.clients.append(remote)
        return Client(remote, objects)

    def bring(self, client: Client, data: bytes) -> Oid:
        """A record of the stage in the client's store."""
        return client.objects.write("commit", data)


@pytest.fixture
def hosted(sshd_server: Sshd) -> Iterator[Hosted]:
    """A host with a policy; channels are closed afterwards."""
    with sshd_server.folder() as folder:
        made = Hosted(folder, sshd_server, Stage())
        yield made
        for remote in made.clients:
            remote.close()


def channel_of(client: Client) -> ChannelRemote:
    """The client's remote as what it is."""
    assert isinstance(client.remote, ChannelRemote)
    return client.remote
