"""One shared connection per host: made, reused, given up when dead or stuck, never against the user's own setup."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from services import Sshd

from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.git.remote import GitRemote
from citgit.interfaces import Answer
from citgit.ssh import connection
from citgit.ssh.address import Address, ssh_address
from citgit.ssh.connection import Chosen, Connection
from citgit.testing.remotes import ONE, POOL, Client
from citgit.wiring.hosts import Ways


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ssh://anna@lab1:2222/srv/p.git", Address("anna@lab1", "2222", "/srv/p.git")),
        ("ssh://lab1/~anna/p.git", Address("lab1", "", "~anna/p.git")),
        ("git+ssh://lab1/srv/p.git", Address("lab1", "", "/srv/p.git")),
        ("ssh://anna@[::1]:22/p", Address("anna@::1", "22", "/p")),
        ("anna@lab1:p.git", Address("anna@lab1", "", "p.git")),
        ("lab1:~/p.git", Address("lab1", "", "~/p.git")),
        ("/srv/p.git", None),
        ("../p:q", None),
        ("https://lab1/p.git", None),
        ("ssh://-oProxyCommand=x/p", None),
        ("ssh://anna@-oProxyCommand=x/p", None),
        ("-oProxyCommand=x:p", None),
        ("lab1:--upload-pack=x", None),
        ("ssh://lab1/p\nq", None),
    ],
)
def test_addresses(url: str, address: Address | None) -> None:
    """Addresses are read as git reads them; what ssh could take for an option is none."""
    assert ssh_address(url) == address


def test_users_choice_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set an ssh command or program for git, in the environment or in a file, gets exactly that."""
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    init_bare(tmp_path / "mine.git")
    where = "ssh://lab1/srv/p.git"
    assert "ControlMaster=auto" in Ways(tmp_path / "mine.git").environment(where)["GIT_SSH_COMMAND"]
    monkeypatch.setenv("GIT_SSH", "/usr/bin/ssh")
    assert Ways(tmp_path / "mine.git").environment(where) == {}
    monkeypatch.delenv("GIT_SSH")
    must(["config", "--file", str(tmp_path / "config"), "core.sshCommand", "ssh -4 -o X='a b'"], doing="configure")
    ways = Ways(tmp_path / "mine.git")
    assert ways.environment(where) == {}
    way = ways.to(where)
    assert way is not None
    assert way.argv("true")[:3] == ["sh", "-c", "ssh -4 -o X='a b' \"$@\""]


def test_rewritten_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that the user's git configuration rewrites is followed to the real host; a path needs no ssh."""
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    init_bare(tmp_path / "mine.git")
    must(
        ["config", "--file", str(tmp_path / "config"), "url.ssh://lab1:2222/srv/.insteadOf", "lab:"], doing="configure"
    )
    way = Ways(tmp_path / "mine.git").to("lab:p.git")
    assert way is not None
    assert way.address == Address("lab1", "2222", "/srv/p.git")
    assert Ways(tmp_path / "mine.git").to(str(tmp_path / "mine.git")) is None


def test_sockets_go_where_nobody_else_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that others may enter, or a link that was there first, is not used; nor is one too deep."""
    lab1 = Address("lab1", "", "/p")
    with tempfile.TemporaryDirectory(prefix="cit") as name:  # pytest's own folders are too deep for a socket
        place = Path(name)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.setattr(connection, "_RUN", name)
        monkeypatch.setattr(connection, "_TMP", name)
        (place / "citgit").mkdir(mode=0o755)
        (place / f"citgit-{os.getuid()}").symlink_to(place)
        assert Connection(lab1, Chosen()).environment() == {}
        (place / "citgit").chmod(0o700)
        assert f"{name}/citgit/" in str(Connection(lab1, Chosen()).environment())
        for unusable in ("x" * 80, "a b", "absent"):
            (place / unusable).mkdir()
            assert (Connection(lab1, Chosen(), runtime=place / unusable).environment() == {}) is (unusable != "absent")
        monkeypatch.setattr(connection, "_RUN", "/run/")
        monkeypatch.setattr(connection, "_TMP", str(place / "absent"))
        assert f"{name}/absent/citgit-" in str(Connection(lab1, Chosen()).environment())
        for path in (place / "absent").iterdir():
            path.rmdir()
        (place / "absent").rmdir()
        assert Connection(lab1, Chosen(), runtime=place / "absent").environment() == {}


class Host:
    """A repository behind the sshd, reached by an ssh whose user configuration is a file of ours."""

    def __init__(self, sshd: Sshd, folder: Path) -> None:
        self.folder, self.sshd = folder, sshd
        self.sockets = folder / "s"
        self.sockets.mkdir(mode=0o700)
        init_bare(folder / "host.git")
        sshd.give(folder / "host.git", "citgit-anna")
        init_bare(folder / "mine.git")
        self.address = Address("citgit-anna@127.0.0.1", str(sshd.port), f"{folder}/host.git")

    def client(self) -> Client:
        """A client with a shared connection."""
        way = Connection(self.address, Chosen(), runtime=self.sockets)
        url = f"ssh://{self.address.host}:{self.sshd.port}{self.address.path}"
        mine = self.folder / "mine.git"
        return Client(GitRemote(mine, url, timeout=30, environment=way.environment), GitObjects(mine))

    def logins(self) -> int:
        """How often somebody logged in so far."""
        return self.sshd.log().count("Accepted publickey")

    def masters(self) -> list[psutil.Process]:
        """The masters that wait for more sessions."""
        return [
            process for process in psutil.process_iter(["cmdline"])
            if process.info["cmdline"] and str(self.sockets) in " ".join(process.info["cmdline"])
        ]  # fmt: skip


@pytest.fixture
def host(sshd_server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host; masters that a test leaves are ended."""
    with sshd_server.folder() as folder:
        monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)
        monkeypatch.setenv("PATH", f"{sshd_server.program_folder()}:{os.environ['PATH']}")
        found = Host(sshd_server, folder)
        yield found
        for process in found.masters():
            process.kill()


@pytest.mark.privileged
def test_one_login_for_many_calls(host: Host) -> None:
    """Fetches and pushes after the first one need no further login, in another process's remote too."""
    before = host.logins()
    client, other = host.client(), host.client()
    root = client.commit("root")
    assert client.push(ONE, None, root) is Answer.DONE
    assert other.remote.fetch([POOL]) == {ONE: root}
    assert client.push(ONE, root, client.commit("child", root)) is Answer.DONE
    assert host.logins() == before + 1
    assert [path.stat().st_mode & 0o777 for path in host.sockets.iterdir()] == [0o600]


@pytest.mark.privileged
def test_no_master_stays_for_ever(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The master leaves by itself after the last session."""
    monkeypatch.setattr(connection, "_PERSIST", 1)
    host.client().remote.fetch([POOL])
    until = time.monotonic() + 10
    while host.masters() and time.monotonic() < until:
        time.sleep(0.05)
    assert host.masters() == []
    assert list(host.sockets.iterdir()) == []


@pytest.mark.privileged
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_dead_or_stuck_master_is_replaced(host: Host, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A master that answers nothing any more costs a moment, not the timeout of a push."""
    monkeypatch.setattr(connection, "_STUCK", 0.3)
    client = host.client()
    root = client.commit("root")
    client.push(ONE, None, root)
    (master,) = host.masters()
    master.send_signal(number)
    began = time.monotonic()
    assert client.at(ONE) == root
    assert client.push(ONE, root, client.commit("child", root)) is Answer.DONE
    assert time.monotonic() - began < 10
    assert master.pid not in [each.pid for each in host.masters() if each.status() != psutil.STATUS_STOPPED]


@pytest.mark.privileged
def test_socket_that_cannot_be_made(host: Host) -> None:
    """Where no socket can be made, git reaches the host with a connection of its own."""
    client = host.client()
    client.push(ONE, None, client.commit("root"))
    for process in host.masters():
        process.kill()
    for path in host.sockets.iterdir():
        path.unlink()
    host.sockets.rmdir()
    assert client.at(ONE) == client.commit("root")


@pytest.mark.privileged
def test_own_control_path_is_left_alone(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose ssh configuration shares connections already keeps their way of doing it."""
    assert host.client().remote.fetch([POOL]) == {}
    folder = host.folder / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(f'#!/bin/sh\nexec {host.sshd.program_folder()}/ssh -o ControlPath=/tmp/own-%C "$@"\n')
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    assert Connection(host.address, Chosen(), runtime=host.sockets).environment() == {}
    assert subprocess.run(["ssh", "-V"], capture_output=True).returncode == 0


def test_a_file_is_no_socket(tmp_path: Path) -> None:
    """Only a socket is ever taken out of the way, and only one that does not greet."""
    (tmp_path / "file").touch()
    assert not connection._greets(tmp_path / "file")
    assert (tmp_path / "file").exists()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "dead"))
    assert not connection._greets(tmp_path / "dead")
    assert not (tmp_path / "dead").exists()
