"""The client's end of the channel against servers that lie, fail or fall silent: git's answer is what counts."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from citgit.errors import Bug, NotFound
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.git.remote import GitRemote
from citgit.interfaces import Answer, Update
from citgit.ssh.address import Address
from citgit.ssh.connection import Chosen, Connection
from citgit.ssh.remote import ChannelRemote
from citgit.testing.remotes import ONE, POOL, TWO, Client

# What every server here begins with: it reads frames, and answers each by `answer(head, body)`.
_PRELUDE = """
import json, os, struct, sys, time
def send(head, body=b""):
    head = json.dumps(head).encode()
    os.write(1, struct.pack(">II", len(head), len(body)) + head + body)
def read(count):
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            sys.exit()
        data += more
    return data
def serve(answer):
    os.write(1, b"cit-serve 1\\n")
    while True:
        head, body = struct.unpack(">II", read(8))
        head, body = json.loads(read(head)), read(body)
        if head["type"] == "hello":
            send({"type": "welcome", "version": 1})
        elif head["type"] in ("fetch", "push"):
            answer(head, body)
ABSENT = "a" * 40
"""

LIES = {
    "a ref without its objects": 'send({"type":"fetched","id":h["id"],"changed":{ONE: ABSENT}})',
    "a ref outside": 'send({"type":"fetched","id":h["id"],"changed":{"refs/heads/main": ABSENT}})',
    "no oid": 'send({"type":"fetched","id":h["id"],"changed":{ONE: "main"}})',
    "another id": 'send({"type":"fetched","id":h["id"]+1})',
    "another type": 'send({"type":"answered","id":h["id"],"answers":[]})',
    "an unknown type": 'send({"type":"shell","id":h["id"]})',
    "no type": 'send({"id":h["id"]})',
    "objects that do not fill the body": 'send({"type":"objects","id":h["id"],"objects":[["blob",9]]}, b"x")',
    "an unknown kind": 'send({"type":"objects","id":h["id"],"objects":[["tag",1]]}, b"x")',
    "a huge frame": 'os.write(1, b"\\x7f" * 8)',
    "failure": 'send({"type":"failed","id":h["id"],"code":"away","message":"disk"})',
    "the end": 'send({"type":"failed","code":"idle","message":"bye"}); sys.exit()',
    "nothing": "sys.exit(3)",
    "silence": "time.sleep(60)",
}


class Local(Connection):
    """A program on this machine in place of ssh."""

    def __init__(self, program: Path) -> None:
        super().__init__(Address("lab1", "", "/p"), Chosen())
        self._program = program

    def argv(self, command: str) -> list[str]:
        """The program, whatever the command."""
        return [sys.executable, "-IS", str(self._program)]


class Place:
    """A bare repository, and a client with a channel to a program of the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        init_bare(folder / "host.git")
        init_bare(folder / "mine.git")
        self.git = GitRemote(folder / "mine.git", str(folder / "host.git"), timeout=20)
        self.objects = GitObjects(folder / "mine.git")
        self.plain = Client(self.git, self.objects)

    def client(self, script: str, *, again: float = 60.0) -> Client:
        """A client whose server runs the script for each call (`h` is the message)."""
        program = self.folder / "server.py"
        program.write_text(f"{_PRELUDE}ONE = {ONE!r}\ndef answer(h, body):\n    {script}\nserve(answer)\n")
        self.remote = ChannelRemote(self.git, self.objects, Local(program), "refs/cit/", timeout=1.5, again=again)
        return Client(self.remote, self.objects)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A host with one ref."""
    made = Place(tmp_path)
    made.plain.push(ONE, None, made.plain.commit("root"))
    yield made
    made.remote.close()


@pytest.mark.parametrize("lie", LIES)
def test_what_the_server_says_is_not_believed(place: Place, lie: str) -> None:
    """Each lie ends the channel, with a word about why, and the fetch is git's."""
    client = place.client(LIES[lie])
    assert client.at(ONE) == client.commit("root")
    assert not place.remote.is_open
    assert place.remote.why_not
    assert "\n" not in place.remote.why_not
    assert place.remote._not_before > time.monotonic() + 30


@pytest.mark.parametrize(
    "lie", ["another id", "another type", "a huge frame", "the end", "nothing", "silence", "failure"]
)
def test_a_push_without_an_answer_is_unknown(place: Place, lie: str) -> None:
    """Whatever became of it, nobody claims to know; the next push of it goes through git and does."""
    client = place.client(LIES[lie])
    child = client.commit("child", client.commit("root"))
    assert client.push(ONE, client.commit("root"), child) is Answer.UNKNOWN
    place.remote.close()
    place.remote._not_before = time.monotonic() + 60
    assert client.push(ONE, client.commit("root"), child) is Answer.DONE
    assert client.at(ONE) == child


def test_answers_and_events(place: Place) -> None:
    """Unknown words of an answer are unknown answers; events between answers are noted; words are cleaned."""
    client = place.client(
        'send({"type":"changed"}); send({"type":"answered","id":h["id"],"answers":['
        '{"answer":"perhaps","message":"\\x1b[2Jno"},{"answer":"denied","message":"no\\nway"}]})'
    )
    root = client.commit("root")
    first, second = client.remote.push([Update(TWO, None, root), Update(ONE, root, None)])
    assert (first.answer, first.message, second.answer) == (Answer.UNKNOWN, "?[2Jno", Answer.DENIED)
    assert "\n" not in second.message
    assert place.remote.drain()
    assert not place.remote.drain()


def test_missing_objects_are_sent_after(place: Place) -> None:
    """A server that lacks what we thought it had gets it; one that never has enough is left to git."""
    client = place.client(
        'm = [] if len(h.get("objects", [])) > 1 else [PARENT]\n'
        '    told = {"answer":"missing","missing":m} if m else {"answer":"done"}\n'
        '    send({"type":"answered","id":h["id"],"answers":[told]})'
    )
    program = place.folder / "server.py"
    root = client.commit("root")
    program.write_text(program.read_text().replace("def answer", f"PARENT = {root!r}\ndef answer"))
    child = client.commit("child", root)
    assert client.push(ONE, root, child) is Answer.DONE
    assert place.plain.at(ONE) == root  # the server only said so
    never = place.client('send({"type":"answered","id":h["id"],"answers":[{"answer":"missing","missing":[ABSENT]}]})')
    assert never.push(ONE, root, child) is Answer.DONE
    assert place.plain.at(ONE) == child


def test_large_objects_go_through_git(place: Place) -> None:
    """What does not fit into a message is git's work; its neighbour still goes through the channel."""
    from citgit.interfaces import Entry

    client = place.client('send({"type":"answered","id":h["id"],"answers":[{"answer":"done"}]*len(h["updates"])})')
    blob = client.objects.write("blob", b"x" * (5 << 20))
    large = client.commit("large", tree=client.objects.write_tree([Entry("log", 0o100644, blob)]))
    answers = client.remote.push([Update(TWO, None, large), Update(POOL + "small", None, client.commit("small"))])
    assert [each.answer for each in answers] == [Answer.DONE, Answer.DONE]
    assert place.plain.remote.fetch([POOL]).keys() == {ONE, TWO}


def test_many_prefixes_and_names_that_are_no_text(place: Place) -> None:
    """More prefixes than fit into a message, and names that do not fit into JSON, are no trouble."""
    root = place.plain.commit("root")
    must(["update-ref", "--", f"{POOL}\udcff", root], git_dir=place.folder / "host.git", doing="place a ref")
    assert len(place.git.fetch(["refs/cit/"])) == 2
    client = place.client('assert len(h["prefixes"]) <= 100; send({"type":"fetched","id":h["id"]})')
    prefixes = [f"refs/cit/archive/linux/{year}-01" for year in range(1900, 2150)]
    assert client.remote.fetch([*prefixes, POOL]) == {ONE: root, f"{POOL}\\xff": root}
    assert place.remote.is_open


def test_own_faults(place: Place) -> None:
    """Objects that are not here, refs twice and names outside are our own faults, as with git."""
    client = place.client("sys.exit()")
    with pytest.raises(NotFound):
        client.remote.push([Update(TWO, None, "1" * 40)])
    with pytest.raises(Bug, match="twice"):
        client.remote.push([Update(ONE, None, client.commit("x")), Update(ONE, client.commit("x"), None)])
    with pytest.raises(Bug):
        client.remote.fetch(["refs/heads/"])


def test_the_channel_is_tried_again_less_and_less_often(place: Place) -> None:
    """A server that ends at once is not started for each call; the pause doubles, and waiting time wakes."""
    client = place.client("sys.exit()", again=0.2)
    assert client.at(ONE) is not None
    first = place.remote._not_before
    assert place.remote.drain()
    assert not place.remote.drain()
    client.at(ONE)
    assert place.remote._not_before == first
    time.sleep(0.3)
    assert place.remote.drain()
    client.at(ONE)
    assert place.remote._not_before > first
    assert place.remote._delay == pytest.approx(0.8)
