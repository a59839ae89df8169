"""Writes the next policy with its seal; where several admins must sign, a proposal waits on a branch until they have.

A proposal is the would-be policy record itself, on a branch of its own beside the code: any host takes it, and
nothing that judges records ever looks at it. It carries its author's signature over (version, previous policy, body,
seal) as a file, so that whoever completes the threshold can lay all of them into the record that is pushed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from citgit.errors import CitError, NotFound, Refused
from citgit.flows.chains import payload, read_link
from citgit.flows.policies import contents, read_policies
from citgit.flows.state import Actor, State
from citgit.flows.writing import Draft, complain, sign, write
from citgit.interfaces import Entry, Oid, Remote, Update
from citgit.model.build import Link
from citgit.model.names import Kind
from citgit.model.policy import PolicyChain, PolicyView, Seal
from citgit.model.record import Payload, Policy, Revoked, Seen
from citgit.model.team import Role, Team
from citgit.records import canonical
from citgit.records.envelope import parent_of
from citgit.rules.authority import has_role, speaks_for
from citgit.rules.policies import SIGNATURES, admins_behind, cosigned_text, lockout, proposed

BRANCHES = "refs/heads/"
PROPOSALS = f"{BRANCHES}cit-policy/"
_FILE, _FOLDER = 0o100644, 0o040000


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What the next policy is to say."""

    team: Team
    seal: Seal
    reason: str = ""
    hold: bool = False
    generation: int | None = None
    revoked: tuple[Revoked, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A would-be policy: the view it would be, who stands behind it, and on which branches it waits."""

    view: PolicyView
    link: Link
    admins: tuple[str, ...]
    signatures: Mapping[str, bytes] = field(default_factory=dict)
    branches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What became of it: in force, or a proposal (its branch) that so many further admins have to sign."""

    oid: Oid
    missing: int = 0
    branch: str = ""


def publish(
    state: State, actor: Actor, team: Team, *, before: PolicyChain | None, seal: Seal, reason: str = "",
    hold: bool = False, revoked: tuple[Revoked, ...] = (),
) -> Oid:  # fmt: skip
    """Pushes the next policy, or the root if there is none before, on one admin's word. Raises TryAgain, Refused."""
    made = draft_policy(state, actor, before, Next(team=team, seal=seal, reason=reason, hold=hold, revoked=revoked))
    _refuse_lockout(state, before, made)
    write(state, actor, [made])
    return made.new


def submit(state: State, branches: Remote, actor: Actor, before: PolicyChain, wanted: Next) -> Submitted:
    """Publishes the next policy, or proposes it where it needs more admins than one. Raises TryAgain, Refused."""
    made = draft_policy(state, actor, before, wanted)
    _refuse_lockout(state, before, made)
    if before.tip.team.limits.admins <= 1:
        write(state, actor, [made])
        return Submitted(oid=made.new)
    return _propose(state, branches, actor, before, _view(state, before, made.new))


def countersign(state: State, branches: Remote, actor: Actor, before: PolicyChain, proposal: Proposal) -> Submitted:
    """Signs a proposal, and publishes it if that was the last signature needed. Raises TryAgain, Refused."""
    missing = [tip for tip in proposal.view.seal.builds.values() if not state.objects.has(tip)]
    if missing:
        raise Refused(
            f"the proposal seals {missing[0][:12]}, which the host does not have",
            hint="ask whoever proposed it; 'cit policy publish' makes a new one",
        )
    if len({*proposal.admins, actor.name}) < before.tip.team.limits.admins:
        return _propose(state, branches, actor, before, proposal)
    others = {name: data for name, data in proposal.signatures.items() if f"person:{name}" != actor.name}
    made = _rewritten(state, actor, before, proposal.link, others)
    read_policies(state, made.new)
    write(state, actor, [made])
    branches.push([Update(ref, tip, None) for ref, tip in branches.fetch([PROPOSALS]).items()])
    return Submitted(oid=made.new)


def proposals(state: State, branches: Remote, before: PolicyChain) -> list[Proposal]:
    """The proposals that could follow the policy in force; equal ones are one, with all their signatures."""
    found: dict[bytes, Proposal] = {}
    for ref, tip in sorted(branches.fetch([PROPOSALS]).items()):
        try:
            one = _view(state, before, tip, ref)
        except CitError:
            continue  # for another version, or not an admin's: nothing that anybody could sign
        assert one.link.record is not None
        text = cosigned_text(one.link.record)
        known = found.get(text)
        if known:
            one = Proposal(
                view=known.view, link=known.link, admins=tuple(sorted({*known.admins, *one.admins})),
                signatures={**known.signatures, **one.signatures}, branches=(*known.branches, ref),
            )  # fmt: skip
        found[text] = one
    return list(found.values())


def draft_policy(state: State, actor: Actor, before: PolicyChain | None, wanted: Next) -> Draft:
    """The next policy, signed, not yet pushed."""
    files = {"policy.json": _text(wanted.team), "seal.json": _text(wanted.seal)}
    generation = wanted.generation if wanted.generation is not None else before.tip.generation if before else 0
    body = Policy(
        version=before.tip.version + 1 if before else 1, files=_payloads(files), generation=generation,
        hold=wanted.hold, reason=wanted.reason, revoked=wanted.revoked,
    )  # fmt: skip
    return _signed(state, actor, before, body, [_entry(state, name, data) for name, data in files.items()])


def seal_of(state: State) -> Seal:
    """The tips for the next seal: builds and agents are read first, archives after (PROTOCOL §6)."""
    first = state.remote.fetch([state.refs.builds(), state.refs.agents()])
    then = state.remote.fetch([state.refs.archives()])
    return Seal(
        builds=_only(state, first, Kind.BUILD), agents=_only(state, first, Kind.AGENT),
        archives=_only(state, then, Kind.ARCHIVE),
    )  # fmt: skip


def _propose(state: State, branches: Remote, actor: Actor, before: PolicyChain, proposal: Proposal) -> Submitted:
    assert proposal.link.record is not None
    mine = actor.signer.sign(cosigned_text(proposal.link.record)).encode()
    name = actor.name.removeprefix("person:")
    made = _rewritten(state, actor, before, proposal.link, {**proposal.signatures, name: mine})
    checked = _view(state, before, made.new)
    # a name of its own, never moved: some hosts refuse to rewind a branch
    ref = f"{PROPOSALS}{checked.view.version}-{name}-{made.new[:12]}"
    complain(branches.push([Update(ref, None, made.new)])[0])
    missing = before.tip.team.limits.admins - len(checked.admins)
    return Submitted(oid=made.new, missing=missing, branch=ref.removeprefix(BRANCHES))


def _rewritten(state: State, actor: Actor, before: PolicyChain, link: Link, signatures: Mapping[str, bytes]) -> Draft:
    """The same policy in a record of this actor's, with these signatures of others beside it."""
    assert link.record is not None
    assert isinstance(link.record.body, Policy)
    body = link.record.body
    kept = [one for one in state.objects.tree(link.tree) if one.name + "/" != SIGNATURES]
    folder = state.objects.write_tree(_entry(state, name, data) for name, data in signatures.items())
    named = {f"{SIGNATURES}{name}": data for name, data in signatures.items()}
    entries = [*kept, Entry(SIGNATURES.removesuffix("/"), _FOLDER, folder)] if named else kept
    return _signed(state, actor, before, msgspec.structs.replace(body, signatures=_payloads(named)), entries)


def _signed(state: State, actor: Actor, before: PolicyChain | None, body: Policy, entries: Sequence[Entry]) -> Draft:
    parent = parent_of(state.objects.read(before.tip.oid)[1]) if before else None
    return sign(
        state, actor, body, ref=state.refs.policy, build="", parent=parent, repo=before.repo if before else "",
        policy=before.tip.oid if before else "", seen=Seen(policy=before.tip.oid if before else ""),
        tree=state.objects.write_tree(entries),
    )  # fmt: skip


def _view(state: State, before: PolicyChain, oid: Oid, branch: str = "") -> Proposal:
    """A would-be policy as a reader would judge it, but for the number of admins. Raises Refused."""
    link = read_link(state, oid)
    team, seal, cosigners = contents(state, link)
    view = proposed(before.tip, link, state.refs.policy, len(before.policies), team, seal, cosigners)
    body = link.record.body if link.record else None
    signatures = {
        one.name.removeprefix(SIGNATURES): payload(state, link, one.name, one.sha256, one.size)
        for one in (body.signatures if isinstance(body, Policy) else ())
    }
    admins = tuple(sorted(admins_behind(before.tip, link, cosigners)))
    return Proposal(view=view, link=link, admins=admins, signatures=signatures, branches=(branch,) if branch else ())


def _refuse_lockout(state: State, before: PolicyChain | None, made: Draft) -> None:
    link = read_link(state, made.new)
    team, seal, _ = contents(state, link)
    last = before.tip if before else None
    view = proposed(last, link, state.refs.policy, len(before.policies) if before else 0, team, seal, {})
    if why := lockout(view):
        raise Refused(f"will not publish policy {view.version}: {why}", hint="nobody could ever mend it")


def refuse_stranger(chain: PolicyChain, actor: Actor) -> None:
    """Raises Refused unless the actor is an admin whose key counts."""
    if not has_role(chain.tip.team, actor.name, Role.ADMIN):
        raise Refused(f"{actor.name} is no admin under policy {chain.tip.version}", hint="ask one: cit policy show")
    if not speaks_for(chain.tip, actor.name, actor.signer.public_key):
        raise Refused(f"this key of {actor.name} is not in policy {chain.tip.version}, or was revoked")


def _entry(state: State, name: str, data: bytes) -> Entry:
    return Entry(name, _FILE, state.objects.write("blob", data))


def _payloads(files: Mapping[str, bytes]) -> tuple[Payload, ...]:
    return tuple(
        Payload(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        for name, data in sorted(files.items())
    )


def _only(state: State, tips: Mapping[str, Oid], kind: Kind) -> dict[str, Oid]:
    return {ref: tip for ref, tip in tips.items() if (place := state.refs.parse(ref)) and place.kind is kind}


def _text(value: Team | Seal) -> bytes:
    # a seal can be longer than a record may be, so the payload is not held to the record's limit
    return (canonical.text(msgspec.to_builtins(value)) + "\n").encode()


def chosen(found: Sequence[Proposal], text: str) -> Proposal:
    """The proposal that `text` means: a part of its branch's name, or nothing if there is only one."""
    fitting: Iterable[Proposal] = [one for one in found if not text or any(text in ref for ref in one.branches)]
    listed = list(fitting)
    if len(listed) == 1:
        return listed[0]
    if not found:
        raise NotFound("no proposal waits for a signature", hint="'cit policy publish' makes one")
    names = "\n".join(f"  {one.branches[0].removeprefix(PROPOSALS)}  by {', '.join(one.admins)}" for one in found)
    raise NotFound(f"{len(listed)} proposals fit {text!r}", hint=f"name one of:\n{names}")
