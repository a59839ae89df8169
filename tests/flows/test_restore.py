"""What is noticed of a host that is an old copy, and what a clone gives back, piece by piece."""

from __future__ import annotations

from dataclasses import replace

import pytest

from citgit.flows import restore
from citgit.flows.builds import Repository
from citgit.flows.enqueue import Change, Wish, enqueue_person
from citgit.flows.poll import poll
from citgit.flows.writing import push, resend
from citgit.interfaces import Answer, Oid
from citgit.testing.memory import Fault
from citgit.testing.simulation.lives import new_worker
from citgit.testing.simulation.node import COMMITS
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.trace import Trace
from citgit.testing.simulation.world import World

QUIET = replace(
    PROFILES["mixed"], name="quiet", faults={}, crash=0.0, freeze=0.0, sleep=0.0, step=0.0, requests=1,
    small_programs=0, archivers=1, doors=0, interferer=False, host_away=0.0, revoke=0.0, restore=0.0,
)  # fmt: skip


@pytest.fixture
def world() -> World:
    """A team whose builds are all done; the last beats name the archives that their writers had seen."""
    trace = Trace(0, QUIET)
    trace.run()
    return trace.world


def held(world: World, name: str) -> list[str]:
    """What keeps a node from taking anything."""
    said: list[str] = []
    state = world.client(world.nodes[name])
    restore.Caution().held(state, poll(state), lambda kind, build, text: said.append(text))
    return said


def archive_of(world: World) -> str:
    """The ref of the one archive."""
    (ref,) = (ref for ref in world.host.refs if "/archive/" in ref)
    return ref


def parent(world: World, oid: Oid) -> Oid:
    """The archive before this one."""
    return world.reader().objects.read(oid)[1].split(b"\nparent ")[1][:40].decode()


def test_a_node_without_a_memory_reads_what_others_had_seen(world: World) -> None:
    """An archive that an advert names and the host lacks stops a newcomer; a policy of a new generation lets it go."""
    world.node("new", "agent:lab1")
    assert held(world, "new") == []
    made = new_worker(world, world.nodes["lab1"], "late")
    made.advert = made.workshop.advert("late", 1, ())
    made.do_beat(Repository(made.state, poll(made.state)))
    del world.host.refs[archive_of(world)]
    world.host.restore(world.host.snapshot())
    world.node("newer", "agent:lab1")
    assert any("had seen an archive that the host does not have" in line for line in held(world, "newer"))
    anna = world.nodes["anna"]
    state = world.client(anna)
    restore.begin(state, state.remote, anna.actor, "test")
    restore.release(state, state.remote, anna.actor, "test")
    assert held(world, "newer") == []


def test_whoever_found_a_lost_answer_remembers_the_request(world: World) -> None:
    """Told at once or found out later: the request can be given back by whoever asked, if nobody else saw it."""
    node = world.nodes["ben-asks"]
    state = world.client(node)
    change = Change(url="self", branch="main", commit=COMMITS[0])
    for fault in (None, Fault.NOT_APPLIED):
        drafts = enqueue_person(state, node.actor, poll(state), world.doors(), change, Wish(jobs=["check"]))
        world.host.faults.queued = [fault]
        push(state, node.actor, drafts)
        world.host.faults.queued = []
        if fault:
            assert drafts[0].ref not in node.tips.tips
            assert [pushed.answer for _, pushed in resend(state, node.actor.journal)] == [Answer.DONE]
        assert node.tips.tips[drafts[0].ref] == drafts[0].new


def test_of_an_archive_that_forked_the_builds_come_back(world: World) -> None:
    """The host went on with another archive: what only the lost one held returns as refs, the rest is evidence."""
    ref = archive_of(world)
    lost, before = world.host.refs[ref], parent(world, world.host.refs[ref])
    node, admin = world.nodes["lab0"], world.nodes["anna"]
    state = world.client(node)
    poll(state)
    gone = set(dict(world.listing(lost))) - set(dict(world.listing(before)))
    assert gone
    world.host.refs[ref] = before
    admin.tips.tips[ref] = before
    theirs = world.client(admin)
    restore.begin(theirs, theirs.remote, admin.actor, "test")
    # another archiver, who knows nothing of the lost one, goes on
    data = world.reader().objects.read(before)[1].replace(b"archive: ", b"archive:  ", 1)
    fork = world.host.objects.write("commit", data)
    world.host.refs[ref] = fork
    first = restore.push_back(state, poll(state))
    assert first.evidence == (ref,)
    second = restore.push_back(state, poll(state))
    assert {one.rpartition("/")[2] for one in second.given} == gone
    assert list(restore.evidence(state).values()) == [lost]


def test_an_emptied_host_is_filled_again(world: World) -> None:
    """Nothing is left, not even the policy: the admin brings that back, and everybody what they remember."""
    before = {ref: tip for ref, tip in world.host.refs.items() if "/archive/" in ref}
    world.host.empty()
    assert any("policy" in line for line in held(world, "lab0"))
    anna = world.nodes["anna"]
    state = world.client(anna)
    restore.begin(state, state.remote, anna.actor, "test")
    for node in world.nodes.values():
        theirs = world.client(node)
        restore.push_back(theirs, poll(theirs))
    restore.release(state, state.remote, anna.actor, "test")
    assert {ref: tip for ref, tip in world.host.refs.items() if "/archive/" in ref} == before
    assert all(held(world, name) == [] for name in world.nodes)
