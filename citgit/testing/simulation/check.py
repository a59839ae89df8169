"""The promises: what must hold of every history, judged as a reader of the host would."""

from __future__ import annotations

from citgit.flows.builds import Repository
from citgit.flows.compare import compare
from citgit.flows.state import Snapshot, State
from citgit.model.build import Build
from citgit.model.record import Result
from citgit.rules.judge import promises_of
from citgit.testing.simulation.world import WORKERS, World


class Broken(AssertionError):
    """A promise that did not hold, with the command that shows it again."""


class Check:
    """Holds a world that came to rest against the promises."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.state: State = world.reader()
        snapshot: Snapshot = compare(self.state, dict(world.host.refs), (world.refs.root,), [])
        self.repository = Repository(self.state, snapshot)
        self.active = {build.id: build for build in self.repository.active()}
        self.archived = {build.id: build for build in self.repository.archived()}
        self.builds = self.active | self.archived

    def promise(self, held: bool, text: str) -> None:
        """Raises Broken unless it held."""
        if not held:
            seed, profile = self.world.seed, self.world.profile.name
            again = f"python -m citgit.testing.simulation --profile {profile} --first {seed} --count 1"
            raise Broken(f"{text}\nseed {seed}: {again}")

    def all(self) -> None:
        """Every promise. Raises Broken."""
        world = self.world
        self.promise(not world.started_twice, f"claims started twice: {world.started_twice}")
        self.promise(not world.ran_after_archive, f"archived builds ran again: {world.ran_after_archive}")
        for wanted in sorted(world.accepted):
            self.promise(wanted in self.builds, f"accepted request {wanted} is lost")
        for build in self.builds.values():
            self.one(build)
        for build_id, (_, tip) in world.archived.items():
            place = self.archived.get(build_id)
            self.promise(place is not None and place.tip == tip, f"archived build {build_id} is not what it was")
        self.promise(not world.unjournalled, f"pushed before it was journalled: {world.unjournalled[:3]}")

    def one(self, build: Build) -> None:
        """What must hold of one build."""
        self.promise(not build.broken, f"build {build.id} is broken: {build.broken}")
        self.promise(build.is_final, f"build {build.id} never ended: {build.state}")
        bodies = [one.link.record.body for one in build.entries if not one.void and one.link.record]
        results = [body for body in bodies if isinstance(body, Result)]
        self.promise(len(results) <= 1, f"build {build.id} has {len(results)} results")
        holder = build.held.claim if build.held else ""
        for body in results:
            self.promise(body.claim == holder, f"build {build.id}: not the holder's result")
        most = build.request.max_attempts if build.request else 0
        self.promise(build.valid_claims <= most, f"build {build.id}: {build.valid_claims} of {most} attempts")
        world = self.world
        ran = world.executed[build.id]
        # a claim may be lost with the host's disk, or turn void when its agent is dropped
        undone = world.restored or world.dropped is not None
        self.promise(undone or ran <= build.claims, f"build {build.id} ran {ran} times with {build.claims} claims")
        for entry in build.entries:
            if world.dropped is None or entry.void or not entry.link.record:
                continue
            head, landed = entry.link.record.head, world.landed.get(entry.link.oid, -1)
            late = head.actor == f"agent:{WORKERS[-1]}" and head.type != "request" and landed > world.dropped
            self.promise(not late, f"build {build.id}: {head.type} of {head.actor} counts after a policy dropped it")
        for promise in promises_of(build):
            self.promise(promise.id in self.builds, f"promised build {promise.id} is lost")

    def story(self) -> dict[str, list[tuple[str, str, bool]]]:
        """Each build's records in short: what, by whom, void or not; the same whatever any clock shows."""
        return {
            build.id: [
                (one.link.record.head.type, one.link.record.head.actor, bool(one.void))
                for one in build.entries
                if one.link.record
            ]
            for build in self.builds.values()
        }
