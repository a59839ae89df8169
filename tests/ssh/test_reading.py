"""Reading from a node over a real sshd: who may, who proves that they have the code, what arrives and what does not."""

from __future__ import annotations

import hashlib

import pytest
from nodes import Node, node

from citgit.errors import NotFound, Refused
from citgit.git.contents import Digest
from citgit.ssh.call import Call
from citgit.ssh.reading import Challenge, Content, Done, Folder, Get, Items, Proof

__all__ = ["node"]

pytestmark = pytest.mark.privileged


def test_a_reader_gets_what_was_kept(node: Node) -> None:
    """`cit get` in the checkout of somebody who may read: proven once, copied, as it was kept."""
    (build,) = node.build("make")
    ben = node.reader("ben")
    to = ben.home / "to"
    got = ben.cit("get", build, "--to", str(to))
    assert (to / "out" / "a.txt").read_text() == "".join(f"{one}\n" for one in range(1, 100001))
    assert sorted(got.out.split()) == [str(to / "out" / one) for one in ("a.txt", "bin/run")]
    assert [path.name for path in to.rglob(".*")] == []


def test_no_role_no_files(node: Node) -> None:
    """Who lacks the role, or is nobody, is told so and gets nothing."""
    (build,) = node.build("make")
    for name in ("rob", "eve", "stranger"):
        reader = node.reader(name)
        assert "access denied" in reader.cit("get", build, "--to", str(reader.home / "to"), status=3).err
        assert list((reader.home / "to").rglob("*")) == []


def test_no_code_no_files(node: Node) -> None:
    """A reader who cannot compute the digest over the code gets nothing: no answer, another's, or an old one."""
    (build,) = node.build("make")
    claim, commit = node.claim(build), node.site.git("rev-parse", "HEAD").strip()
    key = node.key("ben")
    content = hashlib.sha256(b"".join(b"%d\n" % one for one in range(1, 100001))).hexdigest()
    asked: list[Challenge] = []

    def digest(challenge: Challenge, reader: str, subject: str, commit: str = commit) -> Proof:
        asked.append(challenge)
        made = Digest(bytes.fromhex(challenge.nonce), reader, subject)
        made.add("./", node.site.top / ".git", commit)
        return Proof(digest=made.end())

    def call() -> Call:
        return node.call(key, "artifact", claim)

    good = digest(Challenge(nonce="0" * 64, reader="person:ben"), "person:ben", claim)
    answers = {
        "nothing": lambda one: Proof(),
        "a guess": lambda one: Proof(digest="0" * 64),
        "one for another question": lambda one: good,
        "somebody else's": lambda one: digest(one, "person:anna", claim),
        "one for another attempt": lambda one: digest(one, "person:ben", "0" * 40),
        "one over another revision": lambda one: digest(one, "person:ben", claim, f"{commit}~1"),
    }
    first = node.site.git("rev-parse", "HEAD~1").strip()
    answers["one over another revision"] = lambda one: digest(one, "person:ben", claim, first)
    for what, answer in answers.items():
        with call() as one:
            one._prove = answer  # a client that answers as it likes
            with pytest.raises(Refused, match="access denied"):
                one.hear(Done)
        assert what
    assert len({one.nonce for one in asked}) == len(asked)
    with call() as one:
        one._prove = lambda each: digest(each, "person:ben", claim)
        one.hear(Done)
        one.say(Get(sha256=content))
        assert one.hear(Content).follow == 588895
    with call() as one:  # and is believed for a while
        one.hear(Done)
        one.say(Get(sha256=content, at=588890))
        assert one.hear(Content).follow == 5
        assert one.raw(100) == b"0000\n"


def test_folders_of_a_workspace(node: Node) -> None:
    """A reader sees what is in it; links are told of, not followed, and no name leads out of it."""
    (build,) = node.build("make")
    claim = node.claim(build)
    (workspace,) = (node.home / "workspaces").iterdir()
    (workspace / "evil").symlink_to("/etc")
    ben = node.reader("ben")
    ben.cit("get", build, "--to", str(ben.home / "to"))
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
