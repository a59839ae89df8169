"""A copy of an old push that lands after the build was archived and deleted: seen for what it is, and removed."""

from __future__ import annotations

from citgit.flows.archive import archive
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.testing.simulation.profile import Profile
from citgit.testing.simulation.trace import Trace

QUIET = Profile(
    name="quiet", aim="nothing goes wrong", faults={}, crash=0.0, freeze=0.0, sleep=0.0, step=0.0, requests=1,
    small_programs=0, doors=0, interferer=False, host_away=0.0, revoke=0.0, restore=0.0,
)  # fmt: skip


def test_a_ref_that_comes_back_after_its_archive_is_deleted_again() -> None:
    """Whoever remembers the final tip and finds the request there deletes what the host has, not what it had."""
    trace = Trace(0, QUIET)
    trace.run()
    world = trace.world
    build, (_, tip) = next(iter(world.archived.items()))
    ref, root = world.refs.build("default", build), tip
    while parents := world.reader().links[root].parents:
        root = parents[0]
    # as if the copy had landed between the deletion and this archiver's next look
    world.nodes["arch0"].tips.save({ref: tip})
    world.host.refs[ref] = root
    state = world.client(world.nodes["arch0"])
    repository = Repository(state, poll(state))
    assert repository.snapshot.alarms == ()
    archive(state, world.nodes["arch0"].actor, repository, "default")
    assert ref not in world.host.refs
