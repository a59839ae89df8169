"""The server's side of the channel without a process: what it answers, refuses, remembers and stores."""

from __future__ import annotations

import json
import random
import struct

import pytest
from joined import ROOT, Joined, anything

from citgit.interfaces import Entry, Objects, Update
from citgit.ssh.frames import BODY_LIMIT, HEAD_LIMIT, Decoder, Garbled, frame
from citgit.ssh.messages import (
    Answered,
    Changed,
    Failed,
    Fetch,
    Fetched,
    Have,
    Hello,
    Push,
    Swap,
    Told,
    Watch,
    encode,
    in_pieces,
    unpack,
)
from citgit.ssh.messages import Objects as ObjectsMessage
from citgit.testing.memory import MemoryHost, MemoryObjects
from citgit.testing.remotes import ONE, POOL, TWO, Client

SEED = 20261125


class Author(Client):
    """Makes commits in a store of its own."""

    def __init__(self) -> None:
        super().__init__(remote=None, objects=MemoryObjects())  # type: ignore[arg-type]


@pytest.fixture
def host() -> MemoryHost:
    """An empty host."""
    return MemoryHost()


@pytest.fixture
def joined(host: MemoryHost) -> Joined:
    """A client that was greeted."""
    return Joined(host)


def place(host: MemoryHost, author: Author, ref: str, oid: str) -> None:
    """At the host itself."""
    host.objects.content.update(author.objects.content)  # type: ignore[attr-defined]
    host.refs[ref] = oid


def pushed(joined: Joined, author: Author, swaps: list[Swap], oids: list[str]) -> list[Told]:
    """The answers to a push that brings these objects."""
    found = [author.objects.read(oid) for oid in oids]
    parcels = [(kind, len(data)) for kind, data in found]
    message = Push(id=7, updates=swaps, objects=parcels)
    (answer, _), *rest = joined.say(message, b"".join(data for _, data in found))
    assert isinstance(answer, Answered), answer
    assert (answer.id, rest) == (7, [])
    return answer.answers


def test_only_what_changed_is_told(host: MemoryHost, joined: Joined) -> None:
    """A fetch tells what differs from the one before, with the objects that are new, and no more."""
    author = Author()
    root = author.commit("root")
    child = author.commit("child", root)
    place(host, author, ONE, root)
    objects, fetched = (message for message, _ in joined.say(Fetch(id=1, prefixes=[POOL])))
    assert isinstance(objects, ObjectsMessage)
    assert [kind for kind, _ in objects.objects] == ["commit"]
    assert fetched == Fetched(id=1, changed={ONE: root})
    assert joined.say(Fetch(id=2, prefixes=[POOL])) == [(Fetched(id=2), b"")]
    place(host, author, ONE, child)
    (message, body), _ = joined.say(Fetch(id=3, prefixes=[POOL, ONE]))
    assert isinstance(message, ObjectsMessage)
    assert unpack(message.objects, body) == [author.objects.read(child)]
    del host.refs[ONE]
    assert joined.say(Fetch(id=4, prefixes=[ROOT])) == [(Fetched(id=4, gone=[ONE]), b"")]


def test_what_is_too_large_is_left_to_git(host: MemoryHost, joined: Joined) -> None:
    """However huge the file that somebody pushed: the channel stays, and the client is sent to git for it."""
    author = Author()
    for size in (BODY_LIMIT + 1, 17 << 20):
        blob = author.objects.write("blob", b"x" * size)
        place(host, author, ONE, author.commit("huge", tree=author.objects.write_tree([Entry("a", 0o100644, blob)])))
        ((answer, _),) = joined.say(Fetch(id=1, prefixes=[POOL]))
        assert isinstance(answer, Failed)
        assert answer.code == "git"


def test_what_the_client_has_is_not_sent(host: MemoryHost, joined: Joined) -> None:
    """A client that names what it has gets the rest; what it named and the host lacks is gone."""
    author = Author()
    root = author.commit("root")
    child = author.commit("child", root)
    place(host, author, ONE, child)
    assert joined.say(Have(refs={ONE: root, TWO: root})) == []
    (message, body), (fetched, _) = joined.say(Fetch(id=1, prefixes=[POOL]))
    assert isinstance(message, ObjectsMessage)
    assert unpack(message.objects, body) == [author.objects.read(child)]
    assert fetched == Fetched(id=1, changed={ONE: child}, gone=[TWO])


def test_words_of_a_client_prove_nothing_to_others(host: MemoryHost, joined: Joined) -> None:
    """A client that claims to have an object does not make the host believe that the host has it."""
    author = Author()
    root = author.commit("root")
    child = author.commit("child", root)
    joined.say(Have(refs={TWO: root}))
    assert pushed(joined, author, [Swap(ref=ONE, new=child)], [child]) == [Told(answer="missing", missing=[root])]
    assert host.refs == {}
    assert child not in host.objects.content


def test_missing_files_are_asked_for(host: MemoryHost, joined: Joined) -> None:
    """A tree whose files did not come is not taken; with them it is, and what nobody wanted is not stored."""
    author = Author()
    blob, waste = author.objects.write("blob", b"log\n"), author.objects.write("blob", b"waste\n")
    tree = author.objects.write_tree([Entry("log", 0o100644, blob)])
    root = author.commit("root", tree=tree)
    swap = Swap(ref=ONE, new=root)
    assert pushed(joined, author, [swap], [root]) == [Told(answer="missing", missing=[tree])]
    assert pushed(joined, author, [swap], [tree, root]) == [Told(answer="missing", missing=[blob])]
    assert pushed(joined, author, [swap], [waste, blob, tree, root]) == [Told(answer="done")]
    assert host.refs == {ONE: root}
    assert {blob, tree, root} <= host.objects.content.keys()
    assert waste not in host.objects.content


def test_refused_objects_are_not_stored(host: MemoryHost) -> None:
    """What the judgement refuses leaves nothing behind, and its neighbour gets through."""
    seen: list[tuple[str, bool]] = []

    def judge(update: Update, objects: Objects) -> str:
        assert update.new is not None
        seen.append((update.ref, objects.has(update.new)))
        return "table: no" if update.ref == ONE else ""

    author = Author()
    bad, good = author.commit("bad"), author.commit("good")
    joined = Joined(host, judge)
    answers = pushed(joined, author, [Swap(ref=ONE, new=bad), Swap(ref=TWO, new=good)], [bad, good])
    assert answers == [Told(answer="denied", message="table: no"), Told(answer="done")]
    assert seen == [(ONE, True), (TWO, True)]
    assert bad not in host.objects.content
    assert host.refs == {TWO: good}


def test_changes_are_told_once(host: MemoryHost, joined: Joined) -> None:
    """A watched change is told once until the client has fetched; its own pushes are no news to it."""
    author = Author()
    root = author.commit("root")
    assert joined.look() == []
    assert joined.say(Watch(prefixes=[POOL])) == []
    place(host, author, "refs/cit/agents/lab1/x", root)
    assert joined.look() == []
    place(host, author, ONE, root)
    assert joined.look() == [Changed()]
    assert joined.look() == []
    joined.say(Fetch(id=1, prefixes=[POOL]))
    assert joined.look() == []
    child = author.commit("child", root)
    assert pushed(joined, author, [Swap(ref=ONE, old=root, new=child)], [child]) == [Told(answer="done")]
    assert joined.look() == []


def test_a_change_before_the_watch_is_told(host: MemoryHost, joined: Joined) -> None:
    """Nothing falls between the first fetch and the watch."""
    author = Author()
    place(host, author, ONE, author.commit("root"))
    assert joined.say(Watch(prefixes=[POOL])) == [(Changed(), b"")]


def test_a_name_that_is_no_text(host: MemoryHost, joined: Joined) -> None:
    """A ref whose name is no UTF-8, pushed by whoever can, is shown escaped and harms nobody's channel."""
    author = Author()
    root = author.commit("root")
    place(host, author, f"{POOL}\udcff", root)
    place(host, author, ONE, root)
    shown = f"{POOL}\\xff"
    *_, (fetched, _) = joined.say(Fetch(id=1, prefixes=[POOL]))
    assert fetched == Fetched(id=1, changed={shown: root, ONE: root})
    other = Joined(host)
    for portion in in_pieces(host.refs):
        other.say(Have(refs=portion))
    assert other.say(Fetch(id=1, prefixes=[POOL])) == [(Fetched(id=1), b"")]


def test_names_too_long_for_a_head(host: MemoryHost, joined: Joined) -> None:
    """So many long names that no head holds them are git's work."""
    author = Author()
    for number in range(4500):
        place(host, author, f"{POOL}{number:04d}{'x' * 240}", author.commit("root"))
    ((failed, _),) = joined.say(Fetch(id=1, prefixes=[POOL]))
    assert isinstance(failed, Failed)
    assert failed.code == "git"


def test_too_much_is_left_to_git(host: MemoryHost, joined: Joined) -> None:
    """Thousands of new refs are git's work; once the client has them, the channel goes on."""
    author = Author()
    root = author.commit("root")
    for number in range(5001):
        place(host, author, f"{POOL}01932c07-3a80-7000-8000-{number:012d}", root)
    ((failed, _),) = joined.say(Fetch(id=1, prefixes=[POOL]))
    assert isinstance(failed, Failed)
    assert (failed.id, failed.code) == (1, "git")
    joined.say(Have(refs=dict(host.refs)))
    assert joined.say(Fetch(id=2, prefixes=[POOL])) == [(Fetched(id=2), b"")]


def test_host_that_needs_git_for_pushes(host: MemoryHost, joined: Joined) -> None:
    """A repository that got a hook meanwhile takes no more pushes here; reading goes on."""
    author = Author()
    root = author.commit("root")
    joined.by_git = "it has a hook"
    kind, data = author.objects.read(root)
    message = Push(id=1, updates=[Swap(ref=ONE, new=root)], objects=[(kind, len(data))])
    assert joined.say(message, data) == [(Failed(id=1, code="git", message="it has a hook"), b"")]
    assert host.refs == {}
    assert joined.say(Fetch(id=2, prefixes=[POOL])) == [(Fetched(id=2), b"")]


def test_a_host_that_fails_ends_nothing(host: MemoryHost) -> None:
    """A full disk is told, and the next message is answered again."""

    def judge(update: Update, objects: Objects) -> str:
        raise OSError(28, "No space left on device")

    author = Author()
    root = author.commit("root")
    joined = Joined(host, judge)
    kind, data = author.objects.read(root)
    ((failed, _),) = joined.say(Push(id=1, updates=[Swap(ref=ONE, new=root)], objects=[(kind, len(data))]), data)
    assert isinstance(failed, Failed)
    assert (failed.code, "No space left" in failed.message) == ("away", True)
    assert joined.say(Fetch(id=2, prefixes=[POOL])) == [(Fetched(id=2), b"")]


def hostile() -> list[tuple[str, bytes]]:
    """Frames that no client of ours sends."""
    oid = "a" * 40
    heads: dict[str, object] = {
        "no json": b"{",
        "no object": b"[]",
        "no type": b"{}",
        "unknown type": {"type": "shell"},
        "a server's": {"type": "welcome", "version": 1},
        "second hello": {"type": "hello", "version": 1, "root": ROOT},
        "no id": {"type": "fetch", "prefixes": [POOL]},
        "id 0": {"type": "fetch", "id": 0, "prefixes": [POOL]},
        "text id": {"type": "fetch", "id": "1", "prefixes": [POOL]},
        "other root": {"type": "fetch", "id": 1, "prefixes": ["refs/heads/"]},
        "all refs": {"type": "fetch", "id": 1, "prefixes": ["refs/"]},
        "no prefix": {"type": "fetch", "id": 1, "prefixes": [""]},
        "a star": {"type": "fetch", "id": 1, "prefixes": ["refs/cit/*"]},
        "up": {"type": "fetch", "id": 1, "prefixes": ["refs/cit/../heads/"]},
        "101 prefixes": {"type": "fetch", "id": 1, "prefixes": [POOL] * 101},
        "watch outside": {"type": "watch", "prefixes": ["/etc/"]},
        "have outside": {"type": "have", "refs": {"HEAD": oid}},
        "have no oid": {"type": "have", "refs": {ONE: "main"}},
        "have an option": {"type": "have", "refs": {ONE: "--upload-pack=x"}},
        "push outside": {"type": "push", "id": 1, "updates": [{"ref": "refs/heads/main", "new": oid}]},
        "push HEAD": {"type": "push", "id": 1, "updates": [{"ref": "HEAD", "new": oid}]},
        "push up": {"type": "push", "id": 1, "updates": [{"ref": "refs/cit/../../config", "new": oid}]},
        "push a line": {"type": "push", "id": 1, "updates": [{"ref": "refs/cit/x\nrefs/heads/y", "new": oid}]},
        "push no oid": {"type": "push", "id": 1, "updates": [{"ref": ONE, "new": "HEAD"}]},
        "push capitals": {"type": "push", "id": 1, "updates": [{"ref": ONE, "new": "A" * 40}]},
        "push twice": {"type": "push", "id": 1, "updates": [{"ref": ONE, "new": oid}] * 2},
        "201 updates": {"type": "push", "id": 1, "updates": [{"ref": f"{ONE}{n}", "new": oid} for n in range(201)]},
        "objects and no body": {"type": "push", "id": 1, "updates": [], "objects": [["commit", 5]]},
        "negative size": {"type": "push", "id": 1, "updates": [], "objects": [["commit", -1]]},
        "huge size": {"type": "push", "id": 1, "updates": [], "objects": [["commit", 1 << 40]]},
        "unknown kind": {"type": "push", "id": 1, "updates": [], "objects": [["tag", 0]]},
        "a float": {"type": "push", "id": 1.5, "updates": []},
        "no utf-8": b'{"type":"fetch","id":1,"prefixes":["\xff"]}',
        "deep": b'{"type":' + b"[" * 100_000,
        "a number too large": b'{"type":"fetch","id":' + b"9" * 400 + b',"prefixes":[]}',
    }
    frames = [(name, frame(one if isinstance(one, bytes) else json.dumps(one).encode())) for name, one in heads.items()]
    return [
        *frames,
        ("body of a fetch", encode(Fetch(id=1, prefixes=[POOL]), b"x")),
        ("body too long", frame(json.dumps({"type": "push", "id": 1, "updates": []}).encode(), b"x")),
        ("no head", struct.pack(">II", 0, 0)),
        ("huge head", struct.pack(">II", HEAD_LIMIT + 1, 0)),
        ("huge body", struct.pack(">II", 2, BODY_LIMIT + 1)),
        ("all ones", b"\xff" * 8),
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n"),
        ("a shell", b"rm -rf ~\n"),
    ]


@pytest.mark.parametrize(("name", "data"), hostile(), ids=[name for name, _ in hostile()])
def test_hostile_frames(host: MemoryHost, name: str, data: bytes) -> None:
    """Whatever the protocol does not allow ends the channel with a word of explanation, and changes nothing."""
    joined = Joined(host)
    answers = joined.raw(data)
    assert [type(answer) for answer, _ in answers] == [Failed]
    assert answers[0][0].code == "protocol"  # type: ignore[union-attr]
    assert joined.session.ended
    assert host.refs == {}


@pytest.mark.parametrize(
    "message", [Fetch(id=1, prefixes=[POOL]), Hello(version=2, root=ROOT), Hello(version=1, root="refs/heads/")]
)
def test_first_message(host: MemoryHost, message: Fetch | Hello) -> None:
    """Nobody is answered before both agree on the version and the root."""
    joined = Joined(host, greet=False)
    ((failed, _),) = joined.say(message)
    assert isinstance(failed, Failed)
    assert failed.code == "protocol"


def test_unknown_fields_are_ignored(joined: Joined) -> None:
    """A later client may say more."""
    head = b'{"type":"fetch","id":1,"prefixes":["refs/cit/builds/"],"since":{"a":[1]}}'
    assert joined.raw(frame(head)) == [(Fetched(id=1), b"")]


def test_random_bytes_and_mutations(host: MemoryHost) -> None:
    """Garbage, and good frames with a few bytes changed, raise nothing but what ends the channel."""
    chance = random.Random(SEED)
    author = Author()
    root = author.commit("root")
    kind, data = author.objects.read(root)
    good = [
        encode(Fetch(id=1, prefixes=[POOL])),
        encode(Have(refs={ONE: root})),
        encode(Push(id=2, updates=[Swap(ref=ONE, new=root)], objects=[(kind, len(data))]), data),
        encode(Watch(prefixes=[POOL])),
    ]
    for _ in range(3000):
        joined = Joined(host, lambda update, objects: "no")
        if chance.random() < 0.2:
            mutated = chance.randbytes(chance.randrange(1, 200))
        else:
            changed = bytearray(chance.choice(good))
            for _ in range(chance.randrange(1, 4)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            mutated = bytes(changed)
        joined.raw(mutated)
        assert host.refs == {}, f"seed {SEED}"


def test_frames_however_they_are_cut() -> None:
    """A stream gives the same frames in any pieces; one that is too large is refused before it has arrived."""
    chance = random.Random(SEED)
    sent = [(chance.randbytes(chance.randrange(1, 300)), chance.randbytes(chance.randrange(300))) for _ in range(100)]
    stream = b"".join(frame(*one) for one in sent)
    decoder, found = Decoder(), []
    while stream:
        size = chance.randrange(1, 400)
        found += list(decoder.feed(stream[:size]))
        stream = stream[size:]
    assert found == sent
    assert decoder.is_empty
    with pytest.raises(Garbled):
        list(decoder.feed(struct.pack(">II", 1, BODY_LIMIT + 1)))
    with pytest.raises(Garbled):
        frame(b"{}", b"x" * (BODY_LIMIT + 1))


def test_a_tree_of_folders_without_end(host: MemoryHost, joined: Joined) -> None:
    """A tree that is too deep is left to git, which has its own limits."""
    author = Author()
    tree = author.objects.write_tree([])
    trees = []
    for _ in range(100):
        tree = author.objects.write_tree([Entry("x", 0o040000, tree)])
        trees.append(tree)
    root = author.commit("root", tree=tree)
    found = [author.objects.read(oid) for oid in [*trees, root]]
    message = Push(id=1, updates=[Swap(ref=ONE, new=root)], objects=[(kind, len(data)) for kind, data in found])
    ((failed, _),) = joined.say(message, b"".join(data for _, data in found))
    assert isinstance(failed, Failed)
    assert failed.code == "git"
    assert anything(Update(ONE, None, root), author.objects) == ""
