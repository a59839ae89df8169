"""Threat: whoever may push puts junk where records are read. It is told of, bounded, and stops nobody else."""

from __future__ import annotations

import time

import pytest
from stage import ANNA, EVE, LAB1, Stage

from citgit.flows import chains
from citgit.flows.audit import audit, unjudged
from citgit.flows.builds import Repository
from citgit.flows.claims import candidates
from citgit.flows.control import control
from citgit.flows.freshness import silent
from citgit.flows.poll import poll
from citgit.interfaces import Entry
from citgit.model.record import Cancel, Claim
from citgit.records import commit as commits


def huge(stage: Stage) -> str:
    """A commit of 8 MiB, as a git bomb or a whole file pasted into a message would be."""
    data = stage.record(stage.refs.build("default", stage.entropy.build_id()), Cancel(), EVE)
    return stage.host.objects.write("commit", data + b"x" * (8 << 20))


def ordinary(stage: Stage) -> str:
    """A commit of code, with a tree that git would refuse to check out."""
    store = stage.host.objects
    evil = b"40000 .git\0" + bytes.fromhex(commits.EMPTY_TREE) + b"120000 link\0" + bytes.fromhex(commits.EMPTY_TREE)
    tree = store.write("tree", evil)
    return store.write("commit", b"tree %s\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n" % tree.encode())


def misplaced(stage: Stage, name: bytes) -> str:
    """A commit with a line that git does not take for a parent, and pushes."""
    text = b"tree %s\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\nparent %s\n\nx\n"
    return stage.host.objects.write("commit", text % (commits.EMPTY_TREE.encode(), name))


JUNK = {
    "a file": lambda stage: stage.host.objects.write("blob", b"x" * (4 << 20)),
    "a tree": lambda stage: stage.host.objects.write_tree(
        [Entry("x", 0o100644, stage.host.objects.write("blob", b"x"))]
    ),
    "a huge commit": huge,
    "somebody's code": ordinary,
    "a parent after the author": lambda stage: misplaced(stage, b"1" * 40),
    "a parent that is no name": lambda stage: misplaced(stage, b"../../HEAD"),
    "a parent in capitals": lambda stage: stage.host.objects.write(
        "commit", stage.data(str(stage.tip(stage.refs.policy))).replace(b"\nauthor", b"\nparent %s\nauthor" %
        str(stage.tip(stage.refs.policy)).upper().encode(), 1)
    ),
    "a commit without a name": lambda stage: stage.host.objects.write("commit", b"\n\n"),
    "another chain": lambda stage: stage.repo,
}  # fmt: skip


@pytest.mark.parametrize("name", JUNK)
def test_junk_at_any_ref_stops_nobody(name: str) -> None:
    """At a build's, an agent's, an archive's ref: the honest build is read as ever, the junk is told of."""
    stage = Stage()
    honest = stage.request()
    stage.write(stage.refs.build("default", honest), Claim(attempt=1), LAB1)
    oid = JUNK[name](stage)
    places = [stage.refs.build("default", stage.entropy.build_id()), stage.refs.agent("lab1", "b1")]
    for ref in places:
        stage.host.refs[ref] = oid
    reader = stage.client()
    began = time.process_time()
    for _ in "12":
        repository = Repository(reader, poll(reader))
        assert [one.id for one in repository.active() if not one.broken] == [honest]
        assert silent(repository, stage.clock.now() + 10_000) == []
        told = {one.ref: one.fault for one in (*unjudged(repository), *audit(repository))}
        broken = {one.ref: one.broken for one in repository.active() if one.broken}
        assert places[0] in {**told, **broken}
        assert told[places[1]]
    assert time.process_time() - began < 2
    assert stage.denied(places[0]) is None, "and anybody may sweep it away"


@pytest.mark.parametrize("lie", ["seq", "nonce", "code", "huge"])
def test_junk_on_a_build_s_chain_stops_nobody(lie: str) -> None:
    """A record that lies about its place, or is none at all, stays in the chain; what follows it counts."""
    stage = Stage()
    honest = stage.request()
    ref = stage.refs.build("default", honest)
    root = stage.tip(ref)
    if lie == "seq":
        stage.place(ref, stage.record(ref, Cancel(), EVE, parent=root).replace(b'"seq": 1', b'"seq": 7'))
    elif lie == "nonce":
        stage.write(ref, Cancel(), EVE, nonce="x")
    elif lie == "huge":
        stage.place(ref, stage.record(ref, Cancel(), EVE, parent=root) + b"x" * (17 << 20))
    else:
        code = b"tree %s\nparent %s\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n"
        stage.place(ref, code % (commits.EMPTY_TREE.encode(), str(root).encode()))
    state = stage.client()
    repository = Repository(state, poll(state))
    found = repository.find(honest)
    assert found is not None
    after = control(state, stage.actor(ANNA), repository, found, Cancel())
    assert after.is_final
    assert [bool(one.void) for one in after.entries] == [False, True, False]
    assert stage.fold() == [honest]
    again = stage.client()
    assert [one.fault for one in audit(Repository(again, poll(again))) if one.fault] == []


def test_a_chain_without_end_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """More records than any build has: that build cannot be read, and says so; the others can."""
    monkeypatch.setattr(chains, "LONGEST", 20)
    stage = Stage()
    honest, flooded = stage.request(), stage.refs.build("default", stage.request())
    for _ in range(25):
        stage.write(flooded, Cancel(), EVE)
    reader = stage.client()
    repository = Repository(reader, poll(reader))
    assert [one.id for one in repository.active()] == [honest]
    assert "longer than 20" in next(unjudged(repository)).fault
    assert stage.denied(flooded, stage.record(flooded, Cancel(), ANNA)) is not None, "a server stops the flood"


@pytest.mark.parametrize("name", JUNK)
def test_junk_at_an_archive_stops_nobody(name: str) -> None:
    """Somebody is first at a month's archive: builds are claimed and judged as ever, and verify tells of it."""
    stage = Stage()
    honest = stage.request()
    month = stage.refs.archive("default", "2023-11")
    stage.host.refs[month] = JUNK[name](stage)
    reader = stage.client()
    repository = Repository(reader, poll(reader))
    assert [one.id for one in candidates(repository, ["default"], "agent:lab1", {})] == [honest]
    assert repository.find(stage.entropy.build_id()) is None
    assert list(repository.archived()) == []
    assert stage.finish(honest)
    assert stage.fold() == [], "nothing is folded onto junk"
    assert any("holds no archive" in alarm for alarm in poll(reader).alarms)


def test_an_archive_that_lies_ends_no_build() -> None:
    """Somebody folds a waiting and a running build: neither is dropped, deleted, or taken for final."""
    stage = Stage()
    waiting, running = stage.request(), stage.request()
    stage.write(stage.refs.build("default", running), Claim(attempt=1), LAB1)
    month = stage.refs.archive("default", "2023-11")
    stage.lie({build: stage.build(build).tip for build in (waiting, running)})
    reader = stage.client()
    repository = Repository(reader, poll(reader))
    assert not repository.is_archived("default", waiting)
    assert [one.id for one in candidates(repository, ["default"], "agent:lab1", {})] == [waiting]
    assert stage.fold() == []
    assert {stage.refs.build("default", one) for one in (waiting, running)} <= set(stage.host.refs)
    assert "it is waiting, not final" in next(one.fault for one in audit(repository) if one.ref == month) or (
        "it is running, not final" in next(one.fault for one in audit(repository) if one.ref == month)
    )
    assert stage.denied(stage.refs.build("default", waiting)), "the server lets nobody delete it either"
