"""Reads the chain of policies from the pinned root, each one verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from citgit.errors import BadSignature, NotFound, Refused
from citgit.flows.chains import descends, payload, read_chain
from citgit.flows.state import State
from citgit.interfaces import Oid
from citgit.model.build import Link
from citgit.model.names import HERE
from citgit.model.policy import PolicyChain, PolicyView, Seal
from citgit.model.record import Policy
from citgit.model.team import Team
from citgit.rules.policies import SIGNATURES, accept, cosigned_text

_GONE = (
    "if this repository kept the state until it had an origin, 'cit init' moves it there; else the host was emptied, "
    "or restored from a backup: ask an admin"
)
_REWOUND = "the host was restored from a backup, or somebody put an older policy back: ask an admin"
T = TypeVar("T")


def read_policies(state: State, tip: Oid) -> PolicyChain:
    """All policies up to `tip`, each verified; the root must be the pinned one, or is pinned now.

    Raises:
        Refused: a policy that may not follow the one before it, or another root than the pinned one.
    """
    if tip in state.chains:
        return state.chains[tip]
    links = read_chain(state, tip)
    if state.pinned and links[0].oid != state.pinned:
        raise Refused(
            f"the root policy of {state.remote.url} is {links[0].oid}, and this clone pinned {state.pinned}",
            hint="either this is another repository, or somebody replaced this one's policy: nothing of it is read. "
            "Ask an admin for the root ('cit policy show' in their clone). If they confirm the new one: "
            "git config citgit.root " + links[0].oid,
        )
    views: list[PolicyView] = []
    for seq, link in enumerate(links):
        team, seal, cosigners = contents(state, link)
        views.append(accept(views[-1] if views else None, link, state.refs.policy, seq, team, seal, cosigners))
        if seq and link.record and link.record.head.repo != links[0].oid:
            raise Refused(f"policy {link.oid[:12]} belongs to another repository")
    chain = PolicyChain(tuple(views))
    state.pinned = chain.repo
    state.chains[tip] = chain
    state.learned(chain)
    return chain


def contents(state: State, link: Link) -> tuple[Team, Seal, Mapping[str, str]]:
    """The payload of a policy: team, seal, and who else signed it with which key. Raises Refused."""
    if link.record is None or not isinstance(link.record.body, Policy):
        return Team(), Seal(), {}
    body = link.record.body
    files = {one.name: payload(state, link, one.name, one.sha256, one.size) for one in body.files}
    where = f"policy {link.oid[:12]}"
    team, seal = decoded(files["policy.json"], Team, where), decoded(files["seal.json"], Seal, where)
    text, cosigners = cosigned_text(link.record), {}
    for one in body.signatures:
        armored = payload(state, link, one.name, one.sha256, one.size).decode("ascii", "replace")
        try:
            cosigners[one.name.removeprefix(SIGNATURES)] = state.verifier.signer(text, armored)
        except BadSignature as error:
            raise Refused(f"policy {link.oid[:12]}: {one.name}: {error.message}") from None
    return team, seal, cosigners


def decoded(data: bytes, kind: type[T], where: str) -> T:
    """A policy's file as what it should be: anybody can push one, so whatever it holds is an answer. Raises Refused."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"{where} cannot be read: {error}") from None


def fetch_policies(state: State) -> PolicyChain:
    """The chain as the host has it now.

    Raises:
        NotFound: the repository has no policy yet. Refused: it is not to be trusted, or older than what was seen.
    """
    tip = state.remote.fetch([state.refs.policy]).get(state.refs.policy)
    before = state.tips.load().get(state.refs.policy)
    if tip is None and before is None:
        raise NotFound(
            "the state repository has no policy", hint="run 'cit init' in the repository that holds the config"
        )
    if tip is None:
        raise Refused(f"the host's policy is gone; this clone has seen {str(before)[:12]}", hint=_GONE)
    chain = read_policies(state, tip)
    if before is not None and tip != before and not descends(state, tip, before):
        raise Refused(
            f"the host shows policy {chain.tip.version} ({tip[:12]}), which does not follow {before[:12]}, "
            "the one that this clone has seen",
            hint=_REWOUND,
        )
    at = chain.index(before) if before else None
    if tip != before and (at is None or chain.policies[at].generation == chain.tip.generation):
        # a policy after a restore is remembered once the host was given back what it lost (flows.restore)
        state.tips.save({state.refs.policy: tip})
    return chain


def every_pool(chain: PolicyChain) -> list[str]:
    """The pools that some policy knew, and the one of builds that people run themselves."""
    return sorted({HERE}.union(*(policy.team.pool for policy in chain.policies)))
