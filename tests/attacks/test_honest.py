"""The server's judgement against honest people: a simulated team whose host judges every push loses nothing by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from stage import EVE, LAB2, MemoryHosted, Stage, team

from citgit.flows.admit import Denied, admit
from citgit.flows.chains import read_link
from citgit.flows.policies import read_policies
from citgit.flows.state import State
from citgit.interfaces import Answer, Oid, Pushed, Update
from citgit.model.record import Advert, Beat, Seen
from citgit.rules.authority import speaks_for
from citgit.testing.memory import MemoryObjects
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.trace import Trace

SEEDS = [("mixed", seed) for seed in range(40, 46)] + [("revoke", seed) for seed in (3, 4, 5)]


@pytest.mark.parametrize(("profile", "seed"), SEEDS)
def test_nobody_honest_is_refused(profile: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delayed, doubled and lost pushes, crashes, takeovers, restores: what the lease lets through lands or was late."""
    trace = Trace(seed, PROFILES[profile])
    host, judged = trace.world.host, 0
    apply = host.apply

    def with_hook(update: Update, objects: Mapping[Oid, tuple[str, bytes]], *more: Any) -> Pushed:
        nonlocal judged
        if host.refs.get(update.ref) == update.old != update.new:
            state = trace.world.reader()
            store = MemoryObjects()
            store.content = {**host.objects.content, **objects}
            state.objects = store
            denied = admit(state, MemoryHosted(host), update)
            judged += 1
            policy = host.refs[trace.world.refs.policy]
            assert denied is None or came_late(state, policy, denied), f"{profile} {seed}: {update}: {denied}"
            if denied:
                return Pushed(update, Answer.DENIED, str(denied))
        return apply(update, objects, *more)

    monkeypatch.setattr(host, "apply", with_hook)
    trace.run()
    trace.check()
    assert judged > 20


def test_a_beat_that_a_policy_overtook() -> None:
    """Its agent was dropped while it was on its way: refused, and nobody's fault. A forged one is no such thing."""
    stage = Stage()
    ref, policy = stage.refs.agent("lab2", "b1"), stage.refs.policy
    advert = Advert(boot="b1", version="1")
    first = stage.record(ref, advert, LAB2)
    forged = stage.record(ref, advert, LAB2, signer=EVE)
    assert stage.denied(ref, first) is None
    assert late(stage, ref, forged) == ("signature", False)
    stage.place(ref, first)
    beat, before = stage.record(ref, Beat(renews=()), LAB2), stage.repo
    stage.policy(team(agent={name: one for name, one in team().agent.items() if name != "lab2"}))
    assert late(stage, ref, beat) == ("signature", True)
    # whoever has seen the policy that drops them goes on dishonestly, whichever policy they cite
    seen = Seen(policy=stage.tip(policy) or "")
    for cited in (before, seen.policy):
        after = stage.record(ref, Beat(renews=()), LAB2, policy=cited, seen=seen)
        assert late(stage, ref, after) == ("signature", False)
    del stage.host.refs[ref]
    assert late(stage, ref, first) == ("signature", True)
    assert late(stage, ref, forged) == ("signature", False)


def late(stage: Stage, ref: str, data: bytes) -> tuple[str, bool]:
    """The rule by which the host refuses the record, and whether that is bad luck."""
    denied = stage.denied(ref, data)
    assert denied is not None
    state = stage.client()
    state.objects = stage.host.objects
    stage.host.objects.write("commit", data)
    return denied.rule, came_late(state, stage.tip(stage.refs.policy) or "", denied)


def came_late(state: State, policy: Oid, denied: Denied) -> bool:
    """What honest people are refused: their build was archived, or they were dropped, while the push was on its way.

    Or the host came back from a backup, without the build whose promise they keep: it is asked for again later.
    """
    words = str(denied)
    return "archived: " in words or "no valid record promises" in words or was_dropped(state, policy, denied.record)


def was_dropped(state: State, policy: Oid, oid: Oid) -> bool:
    """Whether `policy` lets the signer speak no more, while those that the writer cites and had seen did."""
    link = read_link(state, oid) if oid else None
    if link is None or link.record is None:
        return False
    chain, head = read_policies(state, policy), link.record.head
    cited, seen = chain.index(head.policy), chain.index(head.seen.policy)
    if cited is None or seen is None:
        return False
    speaks = [speaks_for(one, head.actor, link.key) for one in chain.policies]
    return not speaks[-1] and speaks[cited] and speaks[seen]
