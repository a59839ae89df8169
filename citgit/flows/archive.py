"""Folds final builds into their month's archive, then, in separate pushes, deletes their refs (PROTOCOL §7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

from citgit.errors import NotYet
from citgit.flows.builds import Repository
from citgit.flows.folders import folded, held_by
from citgit.flows.state import Actor, State
from citgit.flows.takings import dropped
from citgit.interfaces import Answer, Entrusted, Update
from citgit.model.build import Build
from citgit.model.names import Kind, is_build_id
from citgit.records import commit as commits
from citgit.records.envelope import mail
from citgit.records.folded import message
from citgit.rules.folding import MOST_PARENTS, is_disputed, is_due
from citgit.rules.ids import day_of, month_of
from citgit.rules.judge import promises_of


def archive(state: State, actor: Actor, repository: Repository, pool: str) -> list[str]:
    """Archives what is final in the pool and whose promises exist, once it is worth the while; the ids it archived."""
    ready: dict[str, list[Build]] = defaultdict(list)
    stale = []
    for build in repository.active(pool):
        with suppress(NotYet):
            entry = repository.entry(pool, build.id)
            if entry is not None:
                there = _at_host(repository, build)
                lies = there and is_disputed(there, entry, repository.snapshot.policies)
                stale += [there] if there and not lies and not entry.unsupported else []
            elif build.is_final and not build.broken and not build.unsupported and _promises_exist(repository, build):
                ready[month_of(build.id)].append(build)
    if _is_held(state, repository, pool):
        return []
    away = _dropped(repository, pool)
    for build in away:
        ready[month_of(build.id)].insert(0, build)
    done = []
    for month, builds in sorted(ready.items()):
        chosen = builds[:MOST_PARENTS]
        if _is_due(state, repository, pool, month, chosen) and _fold(state, actor, repository, pool, month, chosen):
            done += chosen
    # what the archive lacks just now keeps its ref: whoever saw the entry dropped may be gone tomorrow
    missing = {one.id for one in away}
    delete(state, [one for one in (*done, *stale) if one.id not in missing])
    return [build.id for build in done]


def _at_host(repository: Repository, build: Build) -> Build | None:
    """The build as its ref shows it now: less than is remembered, if an old copy landed. Raises NotYet."""
    tip = repository.snapshot.behind.get(build.ref, build.tip)
    return repository.build(build.ref, tip) if tip else None


def _dropped(repository: Repository, pool: str) -> list[Build]:
    """The builds whose entries somebody dropped; mostly they have no ref any more."""
    state, found = repository.state, []
    for ref, tip in repository.snapshot.of(state.refs, Kind.ARCHIVE, pool).items():
        for build in filter(is_build_id, dropped(state, ref, tip)):
            with suppress(NotYet):
                entry = repository.entry(pool, build)
                found += [entry] if entry is not None and entry.is_final else []
    return found


def _is_held(state: State, repository: Repository, pool: str) -> bool:
    """Whether the host lacks archives that are remembered here, or an admin holds everything: nothing may go then."""
    behind = [place for ref in repository.snapshot.behind if (place := state.refs.parse(ref))]
    lacking = any(place.kind is Kind.ARCHIVE and place.group == pool for place in behind)
    return lacking or repository.snapshot.policies.tip.hold


def disputes(repository: Repository, pool: str = "") -> Iterator[Build]:
    """The builds of a pool, or of all, whose ref and archive show two ends: both stay, and an admin decides."""
    for build in repository.active(pool):
        with suppress(NotYet):
            entry = repository.entry(build.pool, build.id) if build.is_final else None
            if entry is not None and is_disputed(build, entry, repository.snapshot.policies):
                yield build


def delete(state: State, builds: list[Build]) -> None:
    """Deletes the refs of archived builds, with leases; what does not get through is done at the next turn."""
    if builds:
        state.remote.push([Update(build.ref, build.tip, None) for build in builds])


def _promises_exist(repository: Repository, build: Build) -> bool:
    try:
        return all(repository.exists(promise.id) for promise in promises_of(build))
    except NotYet:
        return False


def _is_due(state: State, repository: Repository, pool: str, month: str, builds: list[Build]) -> bool:
    before = repository.snapshot.tips.get(state.refs.archive(pool, month))
    held = held_by(state, before, {day_of(build.id) for build in builds}) if before else 0
    return is_due(len(builds), held, state.clock.now() - min(build.ended for build in builds))


def _fold(state: State, actor: Actor, repository: Repository, pool: str, month: str, builds: list[Build]) -> bool:
    ref = state.refs.archive(pool, month)
    before = repository.snapshot.tips.get(ref)
    with state.objects.group():
        tree = folded(state, before, builds)
        payload = commits.unsigned(
            tree=tree,
            parents=((before,) if before else ()) + tuple(build.tip for build in builds),
            author=actor.name,
            mail=mail(actor.name),
            time=state.clock.now(),
            message=message(pool, month, builds),
        )
        data = commits.signed(payload, actor.signer.sign(payload))
        oid = state.objects.write("commit", data)
    actor.journal.add(Entrusted(ref=ref, old=before, new=oid, commits=(data,), kind="archive"))
    answer = state.remote.push([Update(ref, before, oid)])[0].answer
    if answer is Answer.UNKNOWN:
        answer = Answer.DONE if state.remote.fetch([ref]).get(ref) == oid else Answer.UNKNOWN
    # nothing is lost with an archive that did not get through: the builds still stand, the next turn folds again
    actor.journal.settle(oid)
    return answer is Answer.DONE
