"""How a colleague gets in: an admin's signed invitation, an answer signed by a new key, and proof that they belong.

Both are commits on a branch `cit-join/NAME` beside the code, of the grammar of records but none themselves. The line
that the admin sends holds a one-time secret; the invitation names its public half. The answer shows the new key's
signature and the secret's over that key, so what lies on the branch helps nobody who has not got the line.
Invitations count once, by position: not for a name that any policy since then has held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from citgit.errors import CitError, NotFound, Refused, UsageError
from citgit.flows.policies import fetch_policies
from citgit.flows.publishing import BRANCHES, refuse_stranger
from citgit.flows.state import Actor, State
from citgit.flows.writing import complain
from citgit.interfaces import Oid, Remote, Signer, Update
from citgit.model.names import is_name, name
from citgit.model.policy import PolicyChain
from citgit.model.team import Role
from citgit.records import canonical, commit
from citgit.records.envelope import mail
from citgit.rules.authority import actor_of, has_role, speaks_for

JOINING = f"{BRANCHES}cit-join/"


class Invitation(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="invite"):
    """An admin's word that `name` may join with these roles; `token` is the public half of the line's secret."""

    repo: str
    policy: str
    name: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...]
    token: str
    format: int = 1


class Joining(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="join"):
    """The answer: the new key, and `proof`, the secret's signature over it; `age` if that key cannot decrypt."""

    name: str
    key: str
    invite: str
    proof: str
    age: str = ""
    format: int = 1


T = TypeVar("T", Invitation, Joining)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joiner:
    """Somebody who answered; `fault` says why they cannot be let in, `key` is empty while the answer is awaited."""

    ref: str
    tip: Oid
    name: str
    key: str = ""
    age: str = ""
    roles: tuple[Role, ...] = ()
    groups: tuple[str, ...] = ()
    inviter: str = ""
    fault: str = ""


def invite(
    state: State, branches: Remote, actor: Actor, chain: PolicyChain, who: str, token: str, *,
    roles: tuple[Role, ...], groups: tuple[str, ...],
) -> Oid:  # fmt: skip
    """Puts an invitation on its branch, in the place of an older one. Raises Refused, UsageError, TryAgain."""
    refuse_stranger(chain, actor)
    if name("person", who) in chain.tip.team.person or who in chain.tip.team.agent:
        raise UsageError(f"{who!r} is in the policy already", hint="cit policy show")
    body = Invitation(repo=chain.repo, policy=chain.tip.oid, name=who, roles=roles, groups=groups, token=token)
    made = _commit(state, actor.name, actor.signer, None, body)
    ref = JOINING + who
    old = branches.fetch([ref]).get(ref)
    if old:
        complain(branches.push([Update(ref, old, None)])[0])
    complain(branches.push([Update(ref, None, made)])[0])
    return made


def join(state: State, branches: Remote, signer: Signer, token: Signer, who: str, age: str) -> Invitation:
    """Answers an invitation with the key of `signer`. Raises NotFound, Refused, TryAgain."""
    chain = fetch_policies(state)
    ref = JOINING + name("person", who)
    tip = branches.fetch([ref]).get(ref)
    if tip is None:
        raise NotFound(f"no invitation for {who!r} at {state.remote.url}", hint="ask for a new one")
    if _parsed(state, tip).parents:
        raise UsageError(f"the invitation of {who!r} is answered already", hint="an admin runs 'cit policy accept'")
    invited, _ = _invitation(state, chain, tip)
    if invited.token != token.public_key:
        raise Refused(f"the line is not for the invitation of {who!r}", hint="it was replaced by a newer one")
    proof = token.sign(_proof(tip, signer.public_key))
    body = Joining(name=who, key=signer.public_key, invite=tip, proof=proof, age=age)
    made = _commit(state, f"person:{who}", signer, tip, body)
    complain(branches.push([Update(ref, tip, made)])[0])
    return invited


def joiners(state: State, branches: Remote, chain: PolicyChain) -> Iterator[Joiner]:
    """Everybody invited who is not in yet, and whether they may be let in."""
    for ref, tip in sorted(branches.fetch([JOINING]).items()):
        who = ref.removeprefix(JOINING)
        if not is_name(who):
            continue
        try:
            yield _joiner(state, chain, ref, tip, who)
        except CitError as error:
            yield Joiner(ref=ref, tip=tip, name=who, fault=error.message)


def forget(branches: Remote, joiner: Joiner) -> None:
    """Takes the branch of somebody who is in (or unwanted) away."""
    branches.push([Update(joiner.ref, joiner.tip, None)])


def _joiner(state: State, chain: PolicyChain, ref: str, tip: Oid, who: str) -> Joiner:
    read = _parsed(state, tip)
    if not read.parents:
        invited, inviter = _invitation(state, chain, tip)
        return Joiner(ref=ref, tip=tip, name=who, roles=invited.roles, groups=invited.groups, inviter=inviter)
    answer, key = _body(state, read, Joining)
    invited, inviter = _invitation(state, chain, read.parents[0])
    if (answer.name, invited.name, answer.invite) != (who, who, read.parents[0]):
        raise Refused(f"the answer on {ref!r} is for another invitation")
    if answer.key != key:
        raise Refused("the answer is not signed by the key that it names")
    if state.verifier.signer(_proof(answer.invite, key), answer.proof) != invited.token:
        raise Refused("the answer was not made with the line of this invitation")
    if owner := actor_of(chain.tip.team, key):
        raise Refused(f"the key belongs to {owner} already")
    return Joiner(
        ref=ref, tip=tip, name=who, key=key, age=answer.age, roles=invited.roles, groups=invited.groups, inviter=inviter
    )


def _invitation(state: State, chain: PolicyChain, oid: Oid) -> tuple[Invitation, str]:
    """The invitation and who made it. Raises Refused unless an admin did, and it was not used."""
    read = _parsed(state, oid)
    invited, key = _body(state, read, Invitation)
    if read.parents or invited.repo != chain.repo:
        raise Refused("the invitation is for another repository")
    if not has_role(chain.tip.team, read.author, Role.ADMIN) or not speaks_for(chain.tip, read.author, key):
        raise Refused(f"the invitation is signed by {read.author}, who is no admin")
    at = chain.index(invited.policy)
    if at is None:
        raise Refused("the invitation cites a policy that is not here")
    if any(invited.name in {**one.team.person, **one.team.agent} for one in chain.policies[at:]):
        raise Refused(f"{invited.name!r} joined already; an invitation counts once")
    return invited, read.author


def _commit(state: State, actor: str, signer: Signer, parent: Oid | None, body: Invitation | Joining) -> Oid:
    payload = commit.unsigned(
        tree=state.objects.write_tree(()), parents=(parent,) if parent else (), author=actor, mail=mail(actor),
        time=state.clock.now(), message=f"{_subject(body)}\n\n{canonical.dumps(msgspec.to_builtins(body))}\n",
    )  # fmt: skip
    return state.objects.write("commit", commit.signed(payload, signer.sign(payload)))


def _parsed(state: State, oid: Oid) -> commit.Commit:
    return commit.parse(state.objects.read(oid, limit=1 << 16)[1], oid)


def _body(state: State, read: commit.Commit, kind: type[T]) -> tuple[T, str]:
    """The document and the key that signed it: verified before it is read. Raises Refused."""
    key = state.verifier.signer(read.payload, read.signature)
    subject, _, text = read.message.partition("\n\n")
    try:
        body = msgspec.convert(canonical.loads(text.removesuffix("\n")), kind)
    except msgspec.ValidationError as error:
        raise Refused(f"commit {read.oid[:12]} cannot be read: {error}") from None
    if body.format != 1 or subject != _subject(body):
        raise Refused(f"commit {read.oid[:12]} is no {kind.__name__.lower()} of this version")
    return body, key


def _subject(body: Invitation | Joining) -> str:
    return f"{'invite' if isinstance(body, Invitation) else 'join'}: {body.name}"


def _proof(invite: Oid, key: str) -> bytes:
    return canonical.dumps({"invite": invite, "key": key, "type": "join-proof"}).encode()
