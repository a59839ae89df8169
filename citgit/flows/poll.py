"""Looks at the host: builds first, policy and archives after, each ref against what is remembered of it."""

from __future__ import annotations

from collections.abc import Iterable

from citgit.errors import NotFound, Refused
from citgit.flows.chains import descends
from citgit.flows.folders import archived_tip
from citgit.flows.policies import read_policies
from citgit.flows.state import Snapshot, State
from citgit.interfaces import Entrusted, Oid
from citgit.model.names import Kind


def poll(state: State, pools: Iterable[str] = ()) -> Snapshot:
    """What the host holds, for some pools or (none given) for all.

    Raises:
        RemoteAway: the host did not answer. NotFound: it has no policy. Refused: its policy is not to be trusted.
    """
    chosen = list(pools)
    first = [state.refs.builds(pool) for pool in chosen] or [state.refs.builds()]
    after = [state.refs.archives(pool) for pool in chosen] or [state.refs.archives()]
    seen = state.remote.fetch([*first, state.refs.agents()])
    then = state.remote.fetch([state.refs.policy, *after])
    found = {ref: tip for ref, tip in (seen | then).items() if state.refs.parse(ref)}
    foreign = [f"ref {ref!r} is none of this protocol's" for ref in sorted(seen | then) if ref not in found]
    return compare(state, found, (*first, state.refs.agents(), state.refs.policy, *after), foreign)


def compare(state: State, found: dict[str, Oid], prefixes: tuple[str, ...], alarms: list[str]) -> Snapshot:
    """The snapshot: found tips held against remembered ones, ref by ref; the memory moves forward only."""
    memory = {ref: tip for ref, tip in state.tips.load().items() if ref.startswith(prefixes)}
    changes: dict[str, Oid | None] = {}
    for ref, tip in found.items():
        before = memory.get(ref)
        if before == tip:
            continue
        if before is None or descends(state, tip, before):
            changes[ref] = tip
        else:
            alarms.append(f"ref {ref!r} was rewound from {before[:12]} to {tip[:12]}")
            found[ref] = before
    policy = found.get(state.refs.policy, memory.get(state.refs.policy))
    if policy is None:
        raise NotFound(
            "the state repository has no policy", hint="run 'cit init' in the repository that holds the config"
        )
    for ref, before in memory.items():
        if ref in found:
            continue
        place = state.refs.parse(ref)
        if place and place.kind is Kind.BUILD:
            tip = archived_tip(state, found, place.group, place.leaf)
            if tip and (tip == before or descends(state, tip, before)):
                changes[ref] = None
                continue
        elif place and place.kind is Kind.AGENT:
            # an agent deletes the ref of its last boot once the next one stands
            changes[ref] = None
            continue
        alarms.append(f"ref {ref!r} vanished; it was at {before[:12]}")
    try:
        policies = read_policies(state, policy)
    except Refused as error:
        last = memory.get(state.refs.policy)
        if last is None or last == policy:
            raise
        # whoever may push can put anything there; what is no policy must not stop those who know the last one
        alarms.append(f"{error.message}: going on with the policy before it")
        changes.pop(state.refs.policy, None)
        found[state.refs.policy] = last
        policies = read_policies(state, last)
    if changes:
        state.tips.save(changes)
    return Snapshot(tips=found, policies=policies, alarms=tuple(alarms))


def remembered(state: State, waiting: Iterable[Entrusted] = ()) -> Snapshot:
    """The last known state and the records that wait to be pushed, for when the host is away.

    Raises NotFound if nothing is known yet.
    """
    memory = dict(state.tips.load())
    for entry in waiting:
        if memory.get(entry.ref) == entry.old:
            memory[entry.ref] = entry.new
    policy = memory.get(state.refs.policy)
    if policy is None:
        raise NotFound("nothing is known of the state repository yet", hint="run 'cit status' when the host is back")
    return Snapshot(tips=memory, policies=read_policies(state, policy), away=True)
