"""Reads builds: the chain from the store, the facts around it, the judgement."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from citgit.errors import Bug, NotFound, NotYet, Refused, RemoteAway
from citgit.flows.answers import Asking, Judged
from citgit.flows.chains import read_chain
from citgit.flows.compare import ask
from citgit.flows.folders import listed, tip_in, tips_back
from citgit.flows.policies import every_pool
from citgit.flows.state import Snapshot, State
from citgit.flows.takings import lost
from citgit.interfaces import Oid
from citgit.model.build import Build, Entry
from citgit.model.names import Kind, Place
from citgit.rules.facts import Origin, Other, Promised
from citgit.rules.ids import month_of
from citgit.rules.judge import judge, once_final, promises_of
from citgit.rules.lifecycle import State as Life

_KEPT = 2_000
"""Records and judgements that are kept at least; more only if there are more active builds."""


_MOST = 20_000
"""Judgements of one snapshot that are kept."""


_WAITING = Life.WAITING.value
_RUNNING = frozenset({Life.RUNNING.value, Life.STOPPING.value})


class Repository:
    """The facts of one snapshot; builds that were judged once are not judged again.

    An archive that the snapshot lacks is fetched when a build of its month is asked for. A build may be in any pool
    that some policy knew: no other can hold a valid one.
    """

    def __init__(self, state: State, snapshot: Snapshot) -> None:
        self.state = state
        self.snapshot = snapshot
        self._judged: dict[tuple[str, Oid], Build] = {}
        self._active: dict[str, list[Build]] = {}
        self._open: set[str] = set()
        self._months: set[str] = set()
        self._pools = every_pool(snapshot.policies)
        for kept in (state.links, state.judged):
            if len(kept) > _KEPT and len(kept) > 16 * len(snapshot.tips):
                kept.clear()

    def build(self, ref: str, tip: Oid) -> Build:
        """The build at `ref` whose chain ends at `tip`. Raises NotYet, NotFound."""
        place = self.state.refs.parse(ref)
        if place is None or place.kind is not Kind.BUILD:
            raise Bug(f"not the ref of a build: {ref!r}")
        key = (ref, tip)
        if key not in self._judged:
            if len(self._judged) >= _MOST:
                # somebody goes through all of history
                for kept in (self._judged, self.state.judged, self.state.links):
                    kept.clear()
            self._judged[key] = self._known(ref, place, tip)
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
        if pool not in self._active:
            self._active[pool] = list(self._judged_ones(pool))
        return iter(self._active[pool])

    def _judged_ones(self, pool: str) -> Iterator[Build]:
        policy = self.snapshot.policies.tip.oid
        for ref, tip in sorted(self.snapshot.of(self.state.refs, Kind.BUILD, pool).items()):
            try:
                # at each turn all but a few of them are known, and nothing was asked for most
                kept = self.state.judged.get((ref, tip, policy))
                yield kept.build if kept is not None and not kept.asked else self.build(ref, tip)
            except (NotYet, NotFound, Refused):
                continue  # one bad ref stops nobody: `flows.audit` tells of it

    def archived(self, pool: str = "") -> Iterator[Build]:
        """The archived builds of the months that are known here, newest first."""
        for one in self.archived_ids(pool):
            if found := self._held(*one):
                yield found

    def archived_ids(self, pool: str = "") -> Iterator[tuple[str, Oid, str]]:
        """(pool, archive, id) of the archived builds of the months that are known here, newest id first."""
        months: dict[str, list[tuple[str, Oid]]] = {}
        for ref, archive in self.snapshot.of(self.state.refs, Kind.ARCHIVE, pool).items():
            if place := self.state.refs.parse(ref):
                months.setdefault(place.leaf, []).append((place.group, archive))
        for month in sorted(months, reverse=True):
            ways = [self._listed(where, archive) for where, archive in months[month]]
            yield from heapq.merge(*ways, key=lambda one: one[2], reverse=True)

    def archived_build(self, pool: str, archive: Oid, build: str) -> Build | None:
        """A build of one archive; None if that does not hold it, or it cannot be judged yet."""
        try:
            return self._held(pool, archive, build)
        except NotYet:
            return None

    def _held(self, pool: str, archive: Oid, build: str) -> Build | None:
        """A build as one archive shows it: that of an entry that counts, else what is broken there. Raises NotYet."""
        tip = tip_in(self.state, archive, build)
        found = self.build(self.state.refs.build(pool, build), tip) if tip else None
        if found is None or found.is_final or found.broken or found.unsupported:
            return found
        return self.entry(pool, build)

    def find(self, build: str) -> Build | None:
        """A build by its full id: active, else archived; None if there is none. Raises NotYet.

        Whoever may push can put anything under the id in any pool: a root that counts goes before one that is void.
        """
        void, waits = None, None
        for look in (self._active_at, self._archived_in, self.entry):
            for pool in self._pools:
                try:
                    found = look(pool, build)
                except NotYet as error:
                    waits = error
                    continue
                if found is not None and not is_no_build(found):
                    return found
                void = void or found
        if waits:
            raise waits
        return void

    def exists(self, build: str) -> bool:
        """Whether there is such a build, with a root that counts. Raises NotYet."""
        found = self.find(build)
        return found is not None and not is_no_build(found)

    def _active_at(self, pool: str, build: str) -> Build | None:
        ref = self.state.refs.build(pool, build)
        tip = self.snapshot.tips.get(ref)
        return self.build(ref, tip) if tip else None

    def _archived_in(self, pool: str, build: str) -> Build | None:
        self._ask(build)
        archive = self.snapshot.tips.get(self.state.refs.archive(pool, month_of(build)))
        return self._held(pool, archive, build) if archive else None

    def is_archived(self, pool: str, build: str) -> bool:
        """Whether the pool's archive holds the build: it is final for ever. Raises NotYet: it cannot be judged yet."""
        return self.entry(pool, build) is not None

    def entry(self, pool: str, build: str) -> Build | None:
        """The build as the pool's archive holds it; None if no entry for it counts. Raises NotYet.

        Anybody may have written the entry, changed or dropped it: the newest counts whose build has ended.
        """
        for tip in self._tips_back(Place(Kind.BUILD, pool, build)):
            try:
                found = self.build(self.state.refs.build(pool, build), tip)
            except (NotFound, Refused):
                continue
            if found.is_final or found.unsupported:
                return found
        return None

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
        month = f"/{month_of(build)}"
        for ref, archive in self.snapshot.policies.policies[at].seal.archives.items():
            if not ref.endswith(month):
                # an archive of another month cannot hold it
                continue
            try:
                if tip := tip_in(self.state, archive, build):
                    return tip
            except NotFound:
                continue
        return ""

    def was_archived(self, place: Place, tip: Oid) -> bool:
        """Whether the archive of the build's month holds it under this tip, or has held it so."""
        return tip in self._tips_back(place)

    def _other(self, build: str) -> Build | None:
        if build in self._open:
            # two builds cannot be each other's evidence
            return None
        return self.find(build)

    # ---------------------------------------------------------------------------------------------------

    def _known(self, ref: str, place: Place, tip: Oid) -> Build:
        """The judgement, from an earlier snapshot if all that had a say in it is still as it was."""
        key = (ref, tip, self.snapshot.policies.tip.oid)
        self._open.add(place.leaf)
        try:
            kept = self.state.judged.get(key)
            if kept is None or not kept.holds(self):
                asking = Asking(self)
                kept = self.state.judged[key] = Judged(self._judge(ref, place, tip, asking), tuple(asking.asked))
            return kept.build
        finally:
            self._open.discard(place.leaf)

    def _judge(self, ref: str, place: Place, tip: Oid, facts: Asking) -> Build:
        links = read_chain(self.state, tip)
        found = judge(ref, place, links, self.snapshot.policies, facts)
        spoiled = bool(found.broken) or any(entry.void for entry in found.entries)
        if spoiled and not found.is_final and facts.was_archived(place, tip):
            written = judge(ref, place, links, self.snapshot.policies, facts, archived=True)
            return once_final(found, written)
        return found

    def _tips_back(self, place: Place) -> Iterator[Oid]:
        ref = self.state.refs.archive(place.group, month_of(place.leaf))
        if archive := self.snapshot.tips.get(ref):
            for one in (archive, *lost(self.state, ref, archive)):
                yield from tips_back(self.state, one, place.leaf)

    def _listed(self, pool: str, archive: Oid) -> Iterator[tuple[str, Oid, str]]:
        return ((pool, archive, build) for build in listed(self.state, archive))

    def _ask(self, build: str) -> None:
        """Asks the host for the archives of the build's month, unless that was done. Raises NotYet."""
        month = month_of(build)
        if month in self._months:
            return
        try:
            self.snapshot = ask(self.state, self.snapshot, month)
            self._months.add(month)
        except RemoteAway as error:
            raise NotYet(f"the archives of {month} are not here: {error.message}") from error


def is_no_build(build: Build) -> bool:
    """Whether the ref's root is void: then nothing is there, whatever its name, and the id is free (PROTOCOL §3)."""
    return build.state == Life.NONE.value


def is_waiting(build: Build) -> bool:
    """Whether an agent may claim it."""
    return build.state == _WAITING and not build.broken and not build.unsupported


def is_running(build: Build) -> bool:
    """Whether somebody holds it."""
    return build.state in _RUNNING and not build.broken
