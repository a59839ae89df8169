"""Holds what a host has against what is remembered of it, ref by ref: memory moves forward only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from citgit.errors import NotFound, Refused
from citgit.flows.chains import descends
from citgit.flows.folders import follows, is_archive, tips_back
from citgit.flows.policies import every_pool, read_policies
from citgit.flows.squats import was_no_build
from citgit.flows.state import Snapshot, State
from citgit.interfaces import Oid
from citgit.model.names import HERE, Kind
from citgit.model.policy import PolicyChain
from citgit.rules.ids import month_of


def ask(state: State, snapshot: Snapshot, *months: str) -> Snapshot:
    """The snapshot with the archives of these months as the host has them now. Raises RemoteAway, Refused."""
    if snapshot.asked is None:
        return snapshot
    pools = pools_of(state, snapshot.tips, snapshot.policies)
    return ask_refs(state, snapshot, [state.refs.archive(pool, month) for pool in pools for month in months])


def ask_all(state: State, snapshot: Snapshot) -> Snapshot:
    """The snapshot with all archives as the host has them now: what only whole histories need.

    Raises RemoteAway, Refused.
    """
    return (
        snapshot if snapshot.asked is None else replace(ask_refs(state, snapshot, [state.refs.archives()]), asked=None)
    )


def ask_refs(state: State, snapshot: Snapshot, archives: list[str]) -> Snapshot:
    """The snapshot with these archives as the host has them now. Raises RemoteAway, Refused."""
    asked = snapshot.asked or frozenset()
    refs = [ref for ref in archives if ref not in asked]
    if not refs:
        return snapshot
    alarms: list[str] = []
    behind = dict(snapshot.behind)
    found = {ref: tip for ref, tip in state.remote.fetch(refs).items() if state.refs.parse(ref)}
    changes = _changes(state, found, tuple(refs), state.tips.load(), alarms, behind)
    if changes:
        state.tips.save(changes)
    return replace(
        snapshot, tips={**snapshot.tips, **found}, alarms=(*snapshot.alarms, *alarms), asked=asked.union(refs),
        behind=behind,
    )  # fmt: skip


def compare(
    state: State, found: dict[str, Oid], prefixes: tuple[str, ...], alarms: list[str], *,
    memory: Mapping[str, Oid] | None = None,
) -> Snapshot:  # fmt: skip
    """The snapshot: found tips held against remembered ones, ref by ref; the memory moves forward only."""
    known = state.tips.load() if memory is None else memory
    behind: dict[str, Oid | None] = {}
    changes = _changes(state, found, prefixes, known, alarms, behind)
    policy = found.get(state.refs.policy, known.get(state.refs.policy))
    if policy is None:
        raise NotFound(
            "the state repository has no policy", hint="run 'cit init' in the repository that holds the config"
        )
    try:
        policies = read_policies(state, policy)
    except Refused as error:
        last = known.get(state.refs.policy)
        if last is None or last == policy:
            raise
        # whoever may push can put anything there; what is no policy must not stop those who know the last one
        alarms.append(f"{error.message}: going on with the policy before it")
        changes.pop(state.refs.policy, None)
        found[state.refs.policy] = last
        policies = read_policies(state, last)
    restored = _restored(state, policies, known.get(state.refs.policy))
    if restored:
        # remembered once the host has been given back what it lost: see flows.restore
        changes.pop(state.refs.policy, None)
    if changes:
        state.tips.save(changes)
    return Snapshot(tips=found, policies=policies, alarms=tuple(alarms), behind=behind, restored=restored)


def _restored(state: State, policies: PolicyChain, last: Oid | None) -> bool:
    at = policies.index(last) if last else None
    return at is not None and policies.policies[at].generation < policies.tip.generation


def pools_of(state: State, tips: Mapping[str, Oid], policies: PolicyChain | None) -> list[str]:
    """Every pool that some policy or a known ref names."""
    known = [place for ref in tips if (place := state.refs.parse(ref))]
    named = {place.group for place in known if place.kind is Kind.BUILD or place.kind is Kind.ARCHIVE}
    return sorted(named.union(every_pool(policies) if policies else [HERE]))


def _changes(
    state: State, found: dict[str, Oid], prefixes: tuple[str, ...], memory: Mapping[str, Oid], alarms: list[str],
    behind: dict[str, Oid | None],
) -> dict[str, Oid | None]:  # fmt: skip
    """What to remember of found tips, held against remembered ones: a rewound ref stays, a vanished one is told."""
    known = {ref: tip for ref, tip in memory.items() if ref.startswith(prefixes)}
    changes: dict[str, Oid | None] = {}
    for ref in [ref for ref, tip in found.items() if tip != known.get(ref) and _is_junk(state, ref, tip)]:
        alarms.append(f"ref {ref!r} holds no archive: an admin deletes it")
        del found[ref]
        if ref in known:
            found[ref] = known[ref]
    for ref, tip in found.items():
        before = known.get(ref)
        if before == tip:
            continue
        if before is None or grew(state, ref, tip, before) or _is_archived(state, found, ref, before):
            # the last: a late copy of an old push brought back what was archived and deleted meanwhile; were it taken
            # for what is remembered, nobody could delete it
            changes[ref] = tip
        elif was_no_build(state, _policy(state, found, known), ref, before, {**known, **found}):
            changes[ref] = tip  # somebody squatted on the id, and it was freed
        else:
            alarms.append(lost(ref, before, tip))
            found[ref], behind[ref] = before, tip
    for ref, before in known.items():
        if ref in found:
            continue
        policy = _policy(state, found, known)
        if _may_go(state, found, ref, before) or was_no_build(state, policy, ref, before, {**known, **found}):
            changes[ref] = None
        else:
            alarms.append(lost(ref, before, None))
            behind[ref] = None
    return changes


def lost(ref: str, before: Oid, there: Oid | None) -> str:
    """What to say of a ref that went back or away."""
    if there is None:
        return f"ref {ref!r} vanished; it was at {before[:12]}"
    return f"ref {ref!r} was rewound from {before[:12]} to {there[:12]}"


def _policy(state: State, found: Mapping[str, Oid], known: Mapping[str, Oid]) -> Oid | None:
    return found.get(state.refs.policy) or known.get(state.refs.policy)


def _is_junk(state: State, ref: str, tip: Oid) -> bool:
    """Whether somebody put at the ref of an archive what is none: it must not stop those who look builds up in it."""
    place = state.refs.parse(ref)
    return place is not None and place.kind is Kind.ARCHIVE and not is_archive(state, tip)


def grew(state: State, ref: str, tip: Oid, before: Oid) -> bool:
    """Whether the ref, which was at `before`, may have come to `tip` by additions alone."""
    place = state.refs.parse(ref)
    return (follows if place and place.kind is Kind.ARCHIVE else descends)(state, tip, before)


def _may_go(state: State, found: Mapping[str, Oid], ref: str, before: Oid) -> bool:
    """Whether a ref that was at `before` may be gone."""
    place = state.refs.parse(ref)
    # an agent deletes the ref of its last boot once the next one stands
    return _is_archived(state, found, ref, before) or (place is not None and place.kind is Kind.AGENT)


def _is_archived(state: State, found: Mapping[str, Oid], ref: str, before: Oid) -> bool:
    """Whether it is a build whose archive holds `before`, or what came after it: it is final for ever."""
    place = state.refs.parse(ref)
    if place is None or place.kind is not Kind.BUILD:
        return False
    archive = found.get(state.refs.archive(place.group, month_of(place.leaf)))
    return archive is not None and any(
        tip == before or descends(state, tip, before) for tip in tips_back(state, archive, place.leaf)
    )
