"""Every way to reach a state repository against one contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Sshd

from citgit.git.embedded import EmbeddedObjects, EmbeddedRemote, Gate
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.git.remote import GitRemote
from citgit.interfaces import Oid
from citgit.ssh.address import ssh_address
from citgit.ssh.connection import Chosen, Connection
from citgit.ssh.remote import ChannelRemote
from citgit.testing.memory import MemoryHost, MemoryObjects, MemoryRemote
from citgit.testing.remotes import Client, RemoteContract


class PathHost:
    """A bare repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._git_dir = folder / "host.git"
        self._clients = 0
        init_bare(self._git_dir)

    def url(self) -> str:
        """Where clients find it."""
        return str(self._git_dir)

    def client(self) -> Client:
        """A client with a repository of its own."""
        self._clients += 1
        mine = self._folder / f"client{self._clients}.git"
        init_bare(mine)
        return Client(GitRemote(mine, self.url(), timeout=20), GitObjects(mine))

    def place(self, ref: str, oid: Oid) -> None:
        """Through git at the host, which knows no leases."""
        must(["update-ref", "--", ref, oid], git_dir=self._git_dir, doing="place a ref")

    def deny(self) -> None:
        """A hook that declines."""
        hook = self._git_dir / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
        hook.chmod(0o755)

    def vanish(self) -> None:
        """The folder is not there any more."""
        self._git_dir.rename(self._git_dir.with_name("moved.git"))


class EmbeddedHost(PathHost):
    """The same repository, served in-process."""

    def client(self) -> Client:
        """A client with objects of its own, for when the host must be asked through git."""
        outside = super().client()
        assert isinstance(outside.remote, GitRemote)
        assert isinstance(outside.objects, GitObjects)
        return embedded(self._git_dir, outside.objects, outside.remote)


def embedded(place: Path, own: GitObjects, outside: GitRemote) -> Client:
    """A client in-process of the host at `place`."""
    gate = Gate(place, own.git_dir)
    objects = EmbeddedObjects(gate, GitObjects(place), own)
    return Client(EmbeddedRemote(gate, place, objects, outside, "refs/cit/"), objects)


class FakeHost:
    """The host of the simulation."""

    def __init__(self) -> None:
        self._host = MemoryHost()

    def client(self) -> Client:
        """A client with objects of its own."""
        objects = MemoryObjects()
        return Client(MemoryRemote(self._host, objects), objects)

    def place(self, ref: str, oid: Oid) -> None:
        """At the host itself."""
        self._host.refs[ref] = oid

    def deny(self) -> None:
        """All prefixes."""
        self._host.denied = ("refs/",)

    def vanish(self) -> None:
        """Away."""
        self._host.away = True


class SshHost(PathHost):
    """The same repository, reached as another user through a real sshd."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        super().__init__(folder)
        self._sshd = sshd
        sshd.give(folder, "citgit-anna")

    def url(self) -> str:
        """Through ssh."""
        return f"ssh://citgit-anna@127.0.0.1:{self._sshd.port}{self._git_dir}"

    def place(self, ref: str, oid: Oid) -> None:
        """As the repository's owner, whom git would not let root stand in for."""
        super().place(ref, oid)
        self._sshd.give(self._git_dir, "citgit-anna")

    def deny(self) -> None:
        """A hook of the owner."""
        super().deny()
        self._sshd.give(self._git_dir, "citgit-anna")


class TestGitOverAPath(RemoteContract):
    """The git program, a repository on this machine."""

    @pytest.fixture
    def host(self, tmp_path: Path) -> PathHost:
        """A new host."""
        return PathHost(tmp_path)


class TestEmbedded(RemoteContract):
    """In-process, a repository on this machine; `deny` makes it a host with a hook, `vanish` one that is gone."""

    @pytest.fixture
    def host(self, tmp_path: Path) -> EmbeddedHost:
        """A new host."""
        return EmbeddedHost(tmp_path)


class TestMemory(RemoteContract):
    """The fake of the simulation."""

    @pytest.fixture
    def host(self) -> FakeHost:
        """A new host."""
        return FakeHost()


@pytest.mark.privileged
class TestGitOverSsh(RemoteContract):
    """The git program through ssh, a real sshd and a real other user."""

    @pytest.fixture
    def host(self, sshd: Sshd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshHost]:
        """A new host; sshd's users cannot enter pytest's own folders."""
        with sshd.folder() as folder:
            yield SshHost(folder, sshd)


class ChannelHost(SshHost):
    """The same repository again, served by `cit-serve` over a kept channel."""

    def __init__(self, folder: Path, sshd: Sshd) -> None:
        super().__init__(folder, sshd)
        program = Path(__file__).parent.parent / "ssh" / "open_serve.py"
        self._ssh = sshd.bind(f"{sshd.python()} {program} --repo {self._git_dir}")
        self._remotes: list[ChannelRemote] = []

    def client(self) -> Client:
        """A client with a channel of its own."""
        outside = super().client()
        address = ssh_address(self.url())
        assert address is not None
        way = Connection(address, Chosen(command=self._ssh))
        assert isinstance(outside.remote, GitRemote)
        remote = ChannelRemote(outside.remote, outside.objects, way, "refs/cit/", timeout=20)
        self._remotes.append(remote)
        return Client(remote, outside.objects)

    def end(self) -> None:
        """Closes the channels; none of them may have broken while the host was there."""
        broken = [remote.why_not for remote in self._remotes if remote.why_not]
        for remote in self._remotes:
            remote.close()
        assert not broken or not self._git_dir.exists(), broken


@pytest.mark.privileged
class TestChannel(RemoteContract):
    """`cit-serve` behind a real sshd, and git only where the channel says so."""

    @pytest.fixture
    def host(self, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChannelHost]:
        """A new host."""
        with sshd.folder() as folder:
            made = ChannelHost(folder, sshd)
            monkeypatch.setenv("GIT_SSH_COMMAND", made._ssh)
            yield made
            made.end()
