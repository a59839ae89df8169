"""A copy of an old push that lands after the build was archived and deleted: seen for what it is, and removed."""

from __future__ import annotations

import pytest

from citgit.errors import Refused
from citgit.flows.archive import archive, disputes
from citgit.flows.builds import Repository
from citgit.flows.control import control
from citgit.flows.poll import poll
from citgit.flows.writing import draft, push
from citgit.interfaces import Answer
from citgit.model.record import Cancel, Claim
from citgit.testing.simulation.profile import Profile
from citgit.testing.simulation.trace import Trace
from citgit.testing.simulation.world import World

QUIET = Profile(
    name="quiet", aim="nothing goes wrong", faults={}, crash=0.0, freeze=0.0, sleep=0.0, step=0.0, requests=1,
    small_programs=0, doors=0, interferer=False, host_away=0.0, revoke=0.0, restore=0.0,
)  # fmt: skip


def come_back() -> tuple[World, str, str]:
    """A world at rest, in which a late copy brought the request of an archived build back: its ref, its final tip."""
    trace = Trace(0, QUIET)
    trace.run()
    world = trace.world
    build, (_, tip) = next(iter(world.archived.items()))
    ref, root = world.refs.build("default", build), tip
    while parents := world.reader().links[root].parents:
        root = parents[0]
    world.host.refs[ref] = root
    return world, ref, tip


def cancel_late(world: World) -> str:
    """A cancel that was under way lands on what came back; its oid."""
    node = world.nodes["anna"]
    state = world.client(node)
    repository = Repository(state, poll(state))
    late = draft(state, node.actor, repository.snapshot, next(repository.active()), Cancel())
    assert [one.answer for one in push(state, node.actor, [late])] == [Answer.DONE]
    return late.new


def test_a_ref_that_comes_back_after_its_archive_is_deleted_again() -> None:
    """Whoever remembers the final tip and finds the request there deletes what the host has, not what it had."""
    world, ref, tip = come_back()
    # as if the copy had landed between the deletion and this archiver's next look
    world.nodes["arch0"].tips.save({ref: tip})
    state = world.client(world.nodes["arch0"])
    repository = Repository(state, poll(state))
    assert repository.snapshot.alarms == ()
    archive(state, world.nodes["arch0"].actor, repository, "default")
    assert ref not in world.host.refs


def test_nobody_cancels_a_build_that_is_archived() -> None:
    """What came back looks as if it waited; the person who cancels it is told how it ended."""
    world, ref, _ = come_back()
    node = world.nodes["anna"]
    state = world.client(node)
    repository = Repository(state, poll(state))
    build = next(repository.active())
    assert (build.ref, build.state) == (ref, "waiting")
    with pytest.raises(Refused, match=r"it is over \(passed\)"):
        control(state, node.actor, repository, build, Cancel())
    assert world.host.refs[ref] == build.tip


def test_a_cancel_that_was_under_way_ends_nothing_again() -> None:
    """It lands on what came back: the archive's end stands, nobody is accused of a lie, and the ref goes."""
    world, ref, tip = come_back()
    cancel_late(world)
    state = world.client(world.nodes["arch0"])
    repository = Repository(state, poll(state))
    assert [one.state for one in repository.active()] == ["final"]
    assert list(disputes(repository)) == []
    archive(state, world.nodes["arch0"].actor, repository, "default")
    assert ref not in world.host.refs
    state = world.client(world.nodes["ben-asks"])
    found = Repository(state, poll(state)).find(ref.rpartition("/")[2])
    assert found is not None
    assert found.tip == tip


def test_who_saw_it_end_once_more_does_not_miss_it() -> None:
    """The reader who saw the late cancel, and finds the ref gone, neither alarms nor remembers it."""
    world, ref, _ = come_back()
    late, ben = cancel_late(world), world.client(world.nodes["ben-asks"])
    assert poll(ben).tips[ref] == late
    archiver = world.client(world.nodes["arch0"])
    archive(archiver, world.nodes["arch0"].actor, Repository(archiver, poll(archiver)), "default")
    seen = poll(ben)
    assert (ref in seen.tips, seen.alarms, seen.behind) == (False, (), {})
    assert ref not in world.nodes["ben-asks"].tips.load()


def test_who_saw_it_claimed_once_more_is_told_and_deletes_it_all_the_same() -> None:
    """A claim that the archive never heard of may be a lie; but what lies at the ref is an old copy, and goes."""
    world, ref, _ = come_back()
    lab = world.nodes["lab1"]
    state = world.client(lab)
    repository = Repository(state, poll(state))
    build = next(repository.active())
    claim = draft(state, lab.actor, repository.snapshot, build, Claim(attempt=1, boot="b1", node="memory"))
    push(state, lab.actor, [claim])
    archiver = world.client(world.nodes["arch0"])
    assert poll(archiver).tips[ref] == claim.new
    world.host.refs[ref] = build.tip
    repository = Repository(archiver, poll(archiver))
    assert [alarm for alarm in repository.snapshot.alarms if "was rewound" in alarm]
    archive(archiver, world.nodes["arch0"].actor, repository, "default")
    assert ref not in world.host.refs
    assert [alarm for alarm in poll(archiver).alarms if "vanished" in alarm]
