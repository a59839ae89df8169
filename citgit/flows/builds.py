"""Reads builds: the chain from the store, the facts around it, the judgement."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.errors import Bug, NotFound, NotYet
from citgit.flows.chains import read_chain
from citgit.flows.folders import archived_tip, listed, tip_in
from citgit.flows.state import Snapshot, State
from citgit.interfaces import Oid
from citgit.model.build import Build, Entry
from citgit.model.names import HERE, Kind, Place
from citgit.rules.facts import Origin, Other, Promised
from citgit.rules.judge import judge, once_final, promises_of
from citgit.rules.lifecycle import State as Life


class Repository:
    """The facts of one snapshot; builds that were judged once are not judged again."""

    def __init__(self, state: State, snapshot: Snapshot) -> None:
        self.state = state
        self.snapshot = snapshot
        self._judged: dict[tuple[str, Oid], Build] = {}
        self._open: set[str] = set()

    def build(self, ref: str, tip: Oid) -> Build:
        """The build at `ref` whose chain ends at `tip`. Raises NotYet, NotFound."""
        place = self.state.refs.parse(ref)
        if place is None or place.kind is not Kind.BUILD:
            raise Bug(f"not the ref of a build: {ref!r}")
        key = (ref, tip)
        if key not in self._judged:
            self._judged[key] = self._judge(ref, place, tip)
        return self._judged[key]

    def forged(self, build: Build) -> list[Entry]:
        """The void records that no honest program wrote: void by the very policy that they cite. Raises NotYet."""
        if not any(entry.void for entry in build.entries):
            return []
        links = [entry.link for entry in build.entries]
        place = Place(Kind.BUILD, build.pool, build.id)
        written = judge(build.ref, place, links, self.snapshot.policies, self, as_written=True)
        void = {entry.link.oid for entry in written.entries if entry.void}
        return [entry for entry in build.entries if entry.void and (entry.link.oid in void or written.broken)]

    def active(self, pool: str = "") -> Iterator[Build]:
        """The builds that have a ref, of one pool or all; those that cannot be judged yet are left out."""
        for ref, tip in sorted(self.snapshot.of(self.state.refs, Kind.BUILD, pool).items()):
            try:
                yield self.build(ref, tip)
            except NotYet:
                continue

    def archived(self, pool: str = "") -> Iterator[Build]:
        """The archived builds, newest first."""
        archives = self.snapshot.of(self.state.refs, Kind.ARCHIVE, pool)
        for ref, archive in sorted(archives.items(), key=lambda one: one[0].rpartition("/")[2], reverse=True):
            place = self.state.refs.parse(ref)
            if place is None:
                continue
            for build in listed(self.state, archive):
                yield self.build(self.state.refs.build(place.group, build), tip_in(self.state, archive, build))

    def find(self, build: str) -> Build | None:
        """A build by its full id: active, else archived; None if there is none. Raises NotYet."""
        pools = self._pools()
        for pool in pools:
            if tip := self.snapshot.tips.get(self.state.refs.build(pool, build)):
                return self.build(self.state.refs.build(pool, build), tip)
        for pool in pools:
            if tip := archived_tip(self.state, self.snapshot.tips, pool, build):
                return self.build(self.state.refs.build(pool, build), tip)
        return None

    def is_archived(self, pool: str, build: str) -> bool:
        """Whether the pool's archive holds the build: it is final for ever."""
        return bool(archived_tip(self.state, self.snapshot.tips, pool, build))

    # -- rules.facts.Facts ------------------------------------------------------------------------------

    def promised(self, build: str, index: int) -> Promised | None:
        """The promise that a build's valid records hold at `index`."""
        other = self._other(build)
        if other is None:
            return None
        # void records use up indices too, so an index is no position among the valid promises
        for promise in promises_of(other):
            if promise.request.cause.index == index:
                return Promised(promise, Origin(other.owner, other.principal))
        return None

    def other(self, build: str) -> Other | None:
        """Another build, active or archived."""
        found = self._other(build)
        if found is None or found.request is None:
            return None
        request = found.request
        return Other(found.pool, request.job, request.branch, found.final, found.outcome)

    def sealed(self, policy: str, build: str) -> str:
        """The tip under which the archives sealed by that policy hold the build."""
        at = self.snapshot.policies.index(policy)
        if at is None:
            return ""
        for archive in self.snapshot.policies.policies[at].seal.archives.values():
            try:
                if tip := tip_in(self.state, archive, build):
                    return tip
            except NotFound:
                continue
        return ""

    def _other(self, build: str) -> Build | None:
        if build in self._open:
            # two builds cannot be each other's evidence
            return None
        return self.find(build)

    def _judge(self, ref: str, place: Place, tip: Oid) -> Build:
        self._open.add(place.leaf)
        try:
            links = read_chain(self.state, tip)
            found = judge(ref, place, links, self.snapshot.policies, self)
            spoiled = found.broken or any(entry.void for entry in found.entries)
            if spoiled and not found.is_final and self._archived_at(place) == tip:
                written = judge(ref, place, links, self.snapshot.policies, self, as_written=True)
                return once_final(found, written)
            return found
        finally:
            self._open.discard(place.leaf)

    def _archived_at(self, place: Place) -> Oid:
        return archived_tip(self.state, self.snapshot.tips, place.group, place.leaf)

    def _pools(self) -> list[str]:
        """Every pool that may hold a build: those that some policy knew, since no other can hold a valid one."""
        return sorted({HERE}.union(*(policy.team.pool for policy in self.snapshot.policies.policies)))


def is_waiting(build: Build) -> bool:
    """Whether an agent may claim it."""
    return build.state == Life.WAITING.value and not build.broken and not build.unsupported


def is_running(build: Build) -> bool:
    """Whether somebody holds it."""
    return build.state in (Life.RUNNING.value, Life.STOPPING.value) and not build.broken
