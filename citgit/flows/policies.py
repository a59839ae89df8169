"""Reads the chain of policies from the pinned root, and writes the next one with its seal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from citgit.errors import NotFound, Refused
from citgit.flows.chains import payload, read_chain
from citgit.flows.state import Actor, State
from citgit.flows.writing import Draft, sign, write
from citgit.interfaces import Entry, Oid
from citgit.model.names import Kind
from citgit.model.policy import PolicyChain, PolicyView, Seal
from citgit.model.record import Payload, Policy, Seen
from citgit.model.team import Team
from citgit.records import canonical
from citgit.records.envelope import parent_of
from citgit.rules.policies import accept


def read_policies(state: State, tip: Oid) -> PolicyChain:
    """All policies up to `tip`, each verified; the root must be the pinned one.

    Raises:
        Refused: a policy that may not follow the one before it, or another root than the pinned one.
    """
    if tip in state.chains:
        return state.chains[tip]
    links = read_chain(state, tip)
    if state.pinned and links[0].oid != state.pinned:
        raise Refused(
            f"the root policy is {links[0].oid[:12]}, the pinned one is {state.pinned[:12]}",
            hint="another repository, or somebody replaced this one's policy: ask an admin before you trust it",
        )
    views: list[PolicyView] = []
    for seq, link in enumerate(links):
        body = link.record.body if link.record else None
        files = {one.name: one for one in body.files} if isinstance(body, Policy) else {}
        texts = {}
        for name in ("policy.json", "seal.json"):
            if name in files:
                texts[name] = payload(state, link, name, files[name].sha256, files[name].size)
        try:
            team = msgspec.json.decode(texts.get("policy.json", b"{}"), type=Team)
            seal = msgspec.json.decode(texts.get("seal.json", b"{}"), type=Seal)
        except msgspec.DecodeError as error:
            raise Refused(f"policy {link.oid[:12]} cannot be read: {error}") from None
        views.append(accept(views[-1] if views else None, link, state.refs.policy, seq, team, seal))
        if seq and link.record and link.record.head.repo != links[0].oid:
            raise Refused(f"policy {link.oid[:12]} belongs to another repository")
    chain = PolicyChain(tuple(views))
    state.chains[tip] = chain
    return chain


def publish(
    state: State,
    actor: Actor,
    team: Team,
    *,
    before: PolicyChain | None,
    seal: Seal,
    reason: str = "",
    hold: bool = False,
) -> Oid:
    """Pushes the next policy (the root if there is none before). Returns its oid. Raises TryAgain, Refused."""
    draft = draft_policy(state, actor, team, before=before, seal=seal, reason=reason, hold=hold)
    write(state, actor, [draft])
    return draft.new


def draft_policy(
    state: State, actor: Actor, team: Team, *, before: PolicyChain | None, seal: Seal, reason: str, hold: bool
) -> Draft:
    """The next policy, signed, not yet pushed."""
    files = {"policy.json": _text(team), "seal.json": _text(seal)}
    tree = state.objects.write_tree(
        Entry(name, 0o100644, state.objects.write("blob", data)) for name, data in files.items()
    )
    body = Policy(
        version=before.tip.version + 1 if before else 1,
        files=tuple(
            Payload(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data)) for name, data in files.items()
        ),
        generation=before.tip.generation if before else 0,
        hold=hold,
        reason=reason,
    )
    parent = parent_of(state.objects.read(before.tip.oid)[1]) if before else None
    return sign(
        state, actor, body, ref=state.refs.policy, build="", parent=parent, repo=before.repo if before else "",
        policy=before.tip.oid if before else "", seen=Seen(policy=before.tip.oid if before else ""), tree=tree,
    )  # fmt: skip


def seal_of(state: State) -> Seal:
    """The tips for the next seal: builds and agents are read first, archives after (PROTOCOL §6)."""
    first = state.remote.fetch([state.refs.builds(), state.refs.agents()])
    then = state.remote.fetch([state.refs.archives()])
    return Seal(
        builds=_only(state, first, Kind.BUILD), agents=_only(state, first, Kind.AGENT),
        archives=_only(state, then, Kind.ARCHIVE),
    )  # fmt: skip


def fetch_policies(state: State) -> PolicyChain:
    """The chain as the host has it now. Raises NotFound if the repository has no policy yet."""
    tip = state.remote.fetch([state.refs.policy]).get(state.refs.policy)
    if tip is None:
        raise NotFound(
            "the state repository has no policy", hint="run 'cit init' in the repository that holds the config"
        )
    return read_policies(state, tip)


def _only(state: State, tips: Mapping[str, Oid], kind: Kind) -> dict[str, Oid]:
    return {ref: tip for ref, tip in tips.items() if (place := state.refs.parse(ref)) and place.kind is kind}


def _text(value: Team | Seal) -> bytes:
    # a seal can be longer than a record may be, so the payload is not held to the record's limit
    return (canonical.text(msgspec.to_builtins(value)) + "\n").encode()


def names(chain: PolicyChain) -> Iterable[str]:
    """All pools of the policy in force."""
    return sorted(chain.tip.team.pool)
