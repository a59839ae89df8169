"""Reading from a node over a real sshd: who may, who proves that they have the code, what arrives and what does not."""

from __future__ import annotations

import hashlib
import pwd
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest
from nodes import ACCOUNT, READER, Node, build, node

from citgit.errors import NotFound, Refused
from citgit.git.contents import Digest
from citgit.ssh.call import Call
from citgit.ssh.login import PROGRAMS
from citgit.ssh.reading import Challenge, Content, Done, Folder, Get, Items, Proof

__all__ = ["build", "node"]

pytestmark = pytest.mark.privileged


def test_a_reader_gets_what_was_kept(node: Node, build: str) -> None:
    """`cit get` in the checkout of somebody who may read: proven once, copied, as it was kept."""
    ben = node.reader("ben")
    to = ben.home / "to"
    got = ben.cit("get", build, "--to", str(to))
    assert (to / "out" / "a.txt").read_text() == "".join(f"{one}\n" for one in range(1, 100001))
    assert sorted(got.out.split()) == [str(to / "out" / one) for one in ("a.txt", "bin/run")]
    assert [path.name for path in to.rglob(".*")] == []


def test_no_role_no_files(node: Node, build: str) -> None:
    """Who lacks the role, or is nobody, is told so and gets nothing."""
    for name in ("rob", "eve", "stranger"):
        reader = node.reader(name)
        assert "access denied" in reader.cit("get", build, "--to", str(reader.home / "to"), status=3).err
        assert list((reader.home / "to").rglob("*")) == []


def test_no_code_no_files(node: Node, build: str) -> None:
    """A reader who cannot compute the digest over the code gets nothing: no answer, another's, or an old one."""
    claim, commit = node.claim(build), node.site.git("rev-parse", "HEAD").strip()
    first = node.site.git("rev-parse", "HEAD~1").strip()
    key = node.key("cat")
    content = hashlib.sha256(b"".join(b"%d\n" % one for one in range(1, 100001))).hexdigest()
    asked: list[Challenge] = []

    def digest(challenge: Challenge, reader: str, subject: str, commit: str = commit) -> Proof:
        asked.append(challenge)
        made = Digest(bytes.fromhex(challenge.nonce), reader, subject)
        made.add("./", node.site.top / ".git", commit)
        return Proof(digest=made.end())

    def call() -> Call:
        return node.call(key, "artifact", claim)

    good = digest(Challenge(nonce="0" * 64, reader="person:cat"), "person:cat", claim)
    answers = {
        "nothing": lambda one: Proof(),
        "a guess": lambda one: Proof(digest="0" * 64),
        "one for another question": lambda one: good,
        "somebody else's": lambda one: digest(one, "person:anna", claim),
        "one for another attempt": lambda one: digest(one, "person:cat", "0" * 40),
        "one over another revision": lambda one: digest(one, "person:cat", claim, first),
    }
    for what, answer in answers.items():
        with call() as one:
            one._prove = answer  # a client that answers as it likes
            told = ""
            try:
                one.hear(Done)
            except Refused as error:
                told = error.message
        assert "access denied" in told, what
    assert len({one.nonce for one in asked}) == len(asked)
    with call() as one:
        one._prove = lambda each: digest(each, "person:cat", claim)
        one.hear(Done)
        one.say(Get(sha256=content))
        assert one.hear(Content).follow == 588895
    with call() as one:  # and is believed for a while
        one.hear(Done)
        one.say(Get(sha256=content, at=588890))
        assert one.hear(Content).follow == 5
        assert one.raw(100) == b"0000\n"


def test_folders_of_a_workspace(node: Node, build: str) -> None:
    """A reader sees what is in it; links are told of, not followed, and no name leads out of it."""
    claim = node.claim(build)
    (workspace,) = (node.home / "workspaces").iterdir()
    (workspace / "evil").symlink_to("/etc")
    ben = node.reader("ben")
    ben.cit("log", build)  # proves that he has the code
    key = node.key("ben")
    with node.call(key, "workspace", claim) as call:
        call.say(Folder())
        items = {one.name: one.kind for one in call.hear(Items).items}
        assert items == {".git": "folder", "cit.toml": "file", "evil": "link", "out": "folder", "team.toml": "file"}
        call.say(Folder(names=("out", "bin")))
        (run,) = call.hear(Items).items
        assert (run.name, run.kind, run.size) == ("run", "file", 5)
    for names in (
        ("evil",),
        ("..",),
        ("out", ".."),
        ("/etc",),
        ("out/bin",),
        ("",),
        (".",),
        ("absent",),
        ("cit.toml",),
    ):
        with node.call(key, "workspace", claim) as call:
            call.say(Folder(names=names))
            with pytest.raises(NotFound):
                call.hear(Items)


def test_logs_are_read_from_the_node(node: Node, build: str) -> None:
    """As on the node itself: all of it, by pattern, the tail; who may not read is told so."""
    ben = node.reader("ben")
    assert ben.cit("log", build).out == "hello\noops\n"
    assert ben.cit("log", build, "--grep", "^oo").out == "oops\n"
    assert ben.cit("log", build, "--last", "1").out == "oops\n"
    assert "access denied" in node.reader("rob").cit("log", build, status=3).err


@pytest.mark.heavy
def test_a_log_is_followed_while_connections_break(node: Node) -> None:
    """Lines arrive as they are written; after a break it goes on where it was, none twice, none missing."""
    asked = node.site.cit("run", "drip", "--json").documents
    follow = node.reader("ben").start("log", next(one["build"] for one in asked if "build" in one), "-f")
    assert follow.stdout is not None
    patience = threading.Timer(240, follow.kill)
    patience.start()
    said, broken = [], 0
    with node.worker():
        for line in follow.stdout:
            said.append(line.strip())
            if len(said) in (5, 15, 25, 35):
                for one in psutil.Process(follow.pid).children(recursive=True):
                    if one.name() == "ssh":
                        one.kill()
                        broken += 1
            if len(said) == 45:
                (node.folder / "stop").touch()
        assert follow.wait(timeout=60) == 0
    patience.cancel()
    assert broken
    assert said == [*map(str, range(1, len(said))), "end"]


def test_a_node_that_is_away(node: Node, build: str) -> None:
    """What the record holds is shown at once, with a word about the rest; nothing hangs."""
    ben = node.reader("ben")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        usual = ben.use(f"ssh -F /dev/null -o Port={deaf.getsockname()[1]}")
        began = time.monotonic()
        said = ben.cit("log", build)
        assert said.out == "hello\noops\n"
        assert "cannot be reached" in said.err
        assert "the last lines; the whole log is at " in said.err
        said = ben.cit("get", build, "--to", str(ben.home / "other"), status=75)
        assert "with an account there: scp -P" in said.err
        assert time.monotonic() - began < 60
        ben.use(usual)


def test_a_shell_in_the_workspace(node: Node, build: str) -> None:
    """A bound key opens none; an account's own key does, with citgit's variables and none of the job's."""
    ben = node.reader("ben")
    assert "this key opens no shells" in ben.cit("shell", build, status=3).err
    account = Path(pwd.getpwnam(ACCOUNT).pw_dir)
    installed = account / PROGRAMS / "cit-serve"
    installed.parent.mkdir(parents=True, exist_ok=True)
    serve = f"{node.sshd.python()} -m citgit.programs.serve --home {node.home}"
    installed.write_text(f'#!/bin/sh\nexec {serve} "$@"\n')
    installed.chmod(0o755)
    node.sshd.give(account / ".local", ACCOUNT)
    key = ben.home / "own"
    shutil.copyfile(node.sshd.key, key)
    key.chmod(0o600)
    node.sshd.give(key, READER)
    usual = ben.use(node.sshd.command.replace(str(node.sshd.key.parent), str(ben.home)).replace("user_key", "own"))
    try:
        shell = ben.start("shell", build, stdin=subprocess.PIPE)
        out, err = shell.communicate("pwd; echo $CIT_BUILD_ID$CIT_ATTEMPT$LEFT; exit 7\n", timeout=120)
        assert (shell.returncode, out.split()) == (7, [str(node.home / "workspaces" / build), build]), err
    finally:
        ben.use(usual)
        shutil.rmtree(account / ".local")


def test_a_report_shows_what_a_node_has(node: Node, build: str) -> None:
    """`cit report --logs N` on a reader's machine; without it, or for who may not read, the page says where it is."""
    ben = node.reader("ben")
    ben.cit("report", "--out", str(ben.home / "near"))
    near = (ben.home / "near" / "build" / f"{build}.html").read_text()
    ben.cit("report", "--out", str(ben.home / "far"), "--logs", "5")
    far = (ben.home / "far" / "build" / f"{build}.html").read_text()
    assert ">hello</span>" not in near.replace("</i> ", ">").replace("\n", "")
    assert [word in far for word in ("</i> hello</span>", "</i> oops</span>")] == [True, True]
    rob = node.reader("rob")
    said = rob.cit("report", "--out", str(rob.home / "far"), "--logs", "5")
    assert "access denied" in said.err
    assert "</i> hello</span>" not in (rob.home / "far" / "build" / f"{build}.html").read_text()
