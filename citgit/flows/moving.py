"""Brings a state that was kept in one repository to another one: all its refs, the policy last."""

from __future__ import annotations

from citgit.errors import Refused
from citgit.flows.chains import descends
from citgit.flows.state import State
from citgit.interfaces import Answer, Remote, Update


def is_left(state: State, source: Remote) -> bool:
    """Whether the state is still at `source`: that has a policy, the host has none. Raises RemoteAway."""
    policy = state.refs.policy
    return policy in source.fetch([policy]) and policy not in state.remote.fetch([policy])


def bring(state: State, source: Remote) -> list[str]:
    """Moves all refs of `source` to the state's host; their names, none if there was nothing to be brought.

    A host with a policy has a state of its own, and a source that lacks some of what was seen here is only a copy:
    nothing is brought then. A ref is deleted at the source once the host has all of them, unless it changed meanwhile.
    Raises RemoteAway; Refused if the host did not take all, and then nothing is deleted.
    """
    policy, root = state.refs.policy, state.refs.root
    there = state.remote.fetch([root])
    if policy in there:
        return []
    held, seen = source.fetch([root]), state.tips.load().get(policy)
    if policy not in held or (seen and not descends(state, held[policy], seen)):
        return []
    order = sorted(held, key=lambda ref: (ref == policy, ref))
    wanted = [Update(ref, there.get(ref), held[ref]) for ref in order if there.get(ref) != held[ref]]
    for batch in (wanted[:-1], wanted[-1:]):
        for one in state.remote.push(batch):
            if one.answer is not Answer.DONE:
                raise Refused(f"{state.remote.url} did not take {one.update.ref}: {one.message}")
    gone = source.push([Update(ref, held[ref], None) for ref in order])
    return [one.update.ref for one in gone if one.answer is Answer.DONE]
