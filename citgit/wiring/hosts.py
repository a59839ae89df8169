"""From an address to the host: the remote of a state repository, mirrors of sources, the ssh between here and there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from citgit.git import closure
from citgit.git.embedded import EmbeddedObjects, EmbeddedRemote, Gate, place_of
from citgit.git.objects import GitObjects, common_dir
from citgit.git.remote import GitRemote
from citgit.interfaces import Objects, Oid, Pushed, Remote, Update

if TYPE_CHECKING:
    from citgit.git.own import OwnSources
    from citgit.git.sources import Mirrors
    from citgit.ssh.address import Address
    from citgit.ssh.connection import Connection


def login_of(host: str) -> Address | None:
    """The login that a `host` in team.toml means; None if it means none."""
    from citgit.ssh.address import address_of

    return address_of(host)


class Ways:
    """How this process reaches hosts by ssh, asked for once per address; `git_dir` has the user's settings for them."""

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._known: dict[str, Connection | None] = {}

    def to(self, url: str) -> Connection | None:
        """The connection to the host of `url`; None if git would not use ssh."""
        if url not in self._known and Path(url).exists():
            self._known[url] = None
        if url not in self._known:
            from citgit.git.reach import reach
            from citgit.ssh.address import ssh_address
            from citgit.ssh.connection import Chosen, Connection

            found = reach(self._git_dir, url)
            address = ssh_address(found.url) if found else None
            chosen = Chosen(found.command, found.program) if found else Chosen()
            self._known[url] = Connection(address, chosen) if address else None
        return self._known[url]

    def to_node(self, host: str, key: Path | None) -> Connection | None:
        """The connection to a node, `host` as in team.toml, with a person's key; None if it is no host of ssh."""
        from citgit.git.reach import reach
        from citgit.ssh.address import ssh_address
        from citgit.ssh.connection import Chosen, Connection

        # git knows addresses of repositories alone; what the user set for a host counts for them and for us
        login = login_of(host)
        if login is None:
            return None
        found = reach(self._git_dir, f"{login.url}/node")
        address = ssh_address(found.url)
        chosen = Chosen(found.command, found.program)
        return Connection(address, chosen, key=key, hurry=True) if address else None

    def environment(self, url: str) -> Mapping[str, str]:
        """What git needs to be told to use it."""
        connection = self.to(url)
        return connection.environment() if connection else {}


def state_remote(git_dir: Path, url: str, root: str) -> GitRemote:
    """The state repository at `url` through git; what is fetched from it is kept in `git_dir`."""
    ways = Ways(git_dir)
    return GitRemote(git_dir, url, root, environment=lambda: ways.environment(url))


def own_state(repository: Path, root: str) -> Remote:
    """The state that a repository on this machine keeps itself, whatever its origin has."""
    return state_host(repository, str(repository), root)[1]


def state_host(git_dir: Path, url: str, root: str, *, kept: bool = False) -> tuple[Objects, Remote]:
    """The state repository at `url`, and the objects of a client of it; what is fetched is kept in `git_dir`.

    `kept` is for who stays: over ssh they get a channel, where the host has `cit-serve`.
    """
    own, remote = GitObjects(git_dir), state_remote(git_dir, url, root)
    place = place_of(url)
    if place is None:
        connection = Ways(git_dir).to(url) if kept else None
        if connection is None:
            return own, remote
        from citgit.ssh.remote import ChannelRemote

        return own, ChannelRemote(remote, own, connection, root)
    # git has rules about branches that we do not follow
    if root.startswith("refs/heads/"):
        return own, remote
    gate = Gate(place, git_dir)
    objects = EmbeddedObjects(gate, own if common_dir(git_dir) == place else GitObjects(place), own)
    return objects, EmbeddedRemote(gate, place, objects, remote, root)


def channel_trial(git_dir: Path, url: str, root: str) -> str | None:
    """What a worker here could expect of a channel to `url`, in a sentence; None where nobody would use ssh."""
    connection = Ways(git_dir).to(url) if place_of(url) is None else None
    if connection is None:
        return None
    from citgit.ssh.channel import Channel, Lost, command_line

    try:
        channel = Channel(connection.argv(command_line(connection.address.path)), root, timeout=20)
    except Lost as error:
        return (
            f"no channel, so workers poll through git ({error.message}). To allow one, install citgit there and bind "
            f'keys by this in authorized_keys: restrict,command="cit-serve --repo {connection.address.path}" KEY'
        )
    channel.close()
    limits = f"; pushes go through git: {channel.by_git}" if channel.by_git else ""
    return f"a channel by cit-serve is open to workers: no polls are needed{limits}"


class Branches:
    """The branches at `url`, beside the state; what is pushed is brought from `objects` to `git_dir` first."""

    def __init__(self, git_dir: Path, url: str, objects: Objects) -> None:
        self._own, self._objects = GitObjects(git_dir), objects
        self._remote = state_remote(git_dir, url, "refs/heads/")

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        return self._remote.url

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """The branches under `prefixes`, their objects fetched. Raises RemoteAway, Refused."""
        return self._remote.fetch(prefixes)

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Tries each update on its own. Raises NotFound if an object is not here."""
        for update in updates:
            if update.new:
                closure.copy(self._objects, self._own, update.new)
        return self._remote.push(updates)


def mirrors(directory: Path, git_dir: Path) -> Mirrors:
    """Mirrors of source repositories in `directory`, reached as the settings of the repository `git_dir` say."""
    from citgit.git.sources import Mirrors

    return Mirrors(directory, environment=Ways(git_dir).environment)


def own_sources(directory: Path, git_dir: Path) -> OwnSources:
    """As `mirrors`, but what the repository itself has is read where it is."""
    from citgit.git.own import OwnSources

    place = common_dir(git_dir)
    return OwnSources(place, str(place), mirrors(directory, git_dir))
