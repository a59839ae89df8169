"""Looks at the host: builds first, policy and archives after, each ref against what is remembered of it.

Of the archives only those are asked for that matter now: this month's and the last one's, and those of the months
that active or vanished builds belong to. So what a poll costs does not grow with the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from citgit.errors import NotFound
from citgit.flows.compare import ask, ask_refs, compare, pools_of
from citgit.flows.outdone import forget
from citgit.flows.policies import read_policies
from citgit.flows.state import Snapshot, State
from citgit.interfaces import Entrusted, Oid
from citgit.model.names import Kind
from citgit.model.policy import PolicyChain
from citgit.rules.ids import month_of, months_back

RECENT = 2
"""Months whose archives every poll asks for: this one and the last."""


def poll(state: State, pools: Iterable[str] = ()) -> Snapshot:
    """What the host holds, for some pools or (none given) for all.

    Raises:
        RemoteAway: the host did not answer. NotFound: it has no policy. Refused: its policy is not to be trusted.
    """
    chosen = list(pools)
    prefixes = [*([state.refs.builds(pool) for pool in chosen] or [state.refs.builds()]), state.refs.agents()]
    seen = state.remote.fetch(prefixes)
    memory = state.tips.load()
    known = _policies(state, memory)
    wanted = _archives(state, {**memory, **seen}, chosen, known)
    then = state.remote.fetch([state.refs.policy, *wanted])
    found = {ref: tip for ref, tip in (seen | then).items() if state.refs.parse(ref)}
    foreign = [f"ref {ref!r} is none of this protocol's" for ref in sorted(seen | then) if ref not in found]
    snapshot = compare(state, found, (*prefixes, state.refs.policy, *wanted), foreign, memory=memory)
    older = {
        ref: tip for ref, tip in memory.items()
        if ref not in found and (place := state.refs.parse(ref)) and place.kind is Kind.ARCHIVE
    }  # fmt: skip
    snapshot = replace(snapshot, tips={**older, **snapshot.tips}, asked=frozenset(wanted))
    if snapshot.restored:
        # what the host lost may be of any month
        snapshot = ask_refs(state, snapshot, sorted(older))
    # a policy that is new here may name further pools
    new = known is None or known.tip.oid != snapshot.policies.tip.oid
    snapshot = ask(state, snapshot, *_recent(state)) if new and not chosen else snapshot
    return forget(state, snapshot, memory) if snapshot.behind else snapshot


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


def _policies(state: State, memory: Mapping[str, Oid]) -> PolicyChain | None:
    """The policies as they are remembered, else as the host has them; None if there are none."""
    tip = memory.get(state.refs.policy)
    try:
        return read_policies(state, tip) if tip else _fetched(state)
    except NotFound:
        # the memory outlived the objects
        return _fetched(state)


def _fetched(state: State) -> PolicyChain | None:
    tip = state.remote.fetch([state.refs.policy]).get(state.refs.policy)
    return read_policies(state, tip) if tip else None


def _archives(
    state: State, tips: Mapping[str, Oid], chosen: list[str], policies: PolicyChain | None
) -> list[str]:  # fmt: skip
    """The archives that matter to a poll which found, or remembers, these refs."""
    pools = chosen or pools_of(state, tips, policies)
    wanted = {state.refs.archive(pool, month) for pool in pools for month in _recent(state)}
    known = [ref for ref in tips if ref.startswith(state.refs.archives())]
    for pool in pools:
        # the clock may be wrong by years: what was the newest when we looked last matters as well
        wanted.update(sorted(ref for ref in known if ref.startswith(state.refs.archives(pool)))[-RECENT:])
    active = set()
    for ref in tips:
        place = state.refs.parse(ref)
        if place and place.kind is Kind.BUILD and (not chosen or place.group in chosen):
            active.add((place.group, month_of(place.leaf)))
    return sorted(wanted.union(state.refs.archive(pool, month) for pool, month in active))


def _recent(state: State) -> list[str]:
    return months_back(state.clock.now(), RECENT)
