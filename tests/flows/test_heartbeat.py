"""The ref of an agent stays short, however long its worker lives."""

from __future__ import annotations

from citgit.flows.builds import Repository
from citgit.flows.chains import read_link
from citgit.flows.heartbeat import LONGEST_BOOT
from citgit.flows.poll import poll
from citgit.flows.worker import Worker
from citgit.model.names import Kind
from citgit.model.record import Advert, Beat
from citgit.records.commit import EMPTY_TREE
from citgit.testing.simulation.lives import new_worker
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.world import World

CLAIM = "a" * 40


def holding() -> tuple[World, Worker]:
    """A worker that holds a claim, at a host without faults."""
    world = World(0, PROFILES["mixed"])
    world.host.faults.chances = {}
    node = world.node("lab0", "agent:lab0")
    node.attempts.builds[CLAIM] = "01890000-0000-7000-8000-000000000001"
    return world, new_worker(world, node, "first")


def test_a_long_life_is_cut_into_boots() -> None:
    """After so many beats a new ref begins: its root renews what is held and names the old one, which is gone."""
    world, made = holding()
    for _ in range(LONGEST_BOOT + 5):
        made.do_beat(Repository(made.state, poll(made.state)))
        world.clock.advance(world.ttl)
    refs = poll(made.state).of(made.state.refs, Kind.AGENT, "lab0")
    assert len(refs) == 1
    assert "first" not in next(iter(refs))
    oid, count = next(iter(refs.values())), 0
    while True:
        link, count = read_link(made.state, oid), count + 1
        if not link.parents:
            break
        oid = link.parents[0]
    assert count < 10
    assert link.record is not None
    assert isinstance(link.record.body, Advert)
    assert link.record.body.previous
    assert link.record.body.renews == (CLAIM,)


def test_junk_at_an_agent_s_ref_stops_no_beat() -> None:
    """Somebody pushed what is no record on top of its last one: the next beat follows that, and renews."""
    world, made = holding()
    ref = made.state.refs.agent("lab0", "first")
    made.do_beat(Repository(made.state, poll(made.state)))
    code = f"tree {EMPTY_TREE}\nparent {world.host.refs[ref]}\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nx\n"
    junk = world.host.refs[ref] = world.host.objects.write("commit", code.encode())
    world.clock.advance(world.ttl)
    made.do_beat(Repository(made.state, poll(made.state)))
    link = read_link(made.state, world.host.refs[ref])
    assert link.parents == (junk,)
    assert link.record is not None
    assert isinstance(link.record.body, Beat)
    assert link.record.body.renews == (CLAIM,)
