"""Who may do what under one policy: keys to actors, actors to standings; default deny."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache

from citgit.model.names import HERE
from citgit.model.policy import PolicyChain, PolicyView
from citgit.model.record import CauseKind, Request
from citgit.model.team import OnRevoked, Role, Team
from citgit.rules.lifecycle import Who


def speaks_for(policy: PolicyView, actor: str, key: str) -> bool:
    """Whether `key` is one of the actor's ("person:anna", "agent:lab1") and not revoked."""
    if key in policy.revoked:
        return False
    kind, _, name = actor.partition(":")
    if kind == "person" and name in policy.team.person:
        return key in (_bare(one) for one in policy.team.person[name].keys)
    if kind == "agent" and name in policy.team.agent:
        return key == _bare(policy.team.agent[name].key)
    return False


def is_known(policy: PolicyView, key: str) -> bool:
    """Whether the key is somebody's under the policy, and not revoked."""
    return key not in policy.revoked and actor_of(policy.team, key) != ""


def live_keys(policy: PolicyView, name: str) -> list[str]:
    """The keys of a person or an agent that count under the policy; none for a stranger."""
    return [key for key in _keys(policy.team, name) if key not in policy.revoked]


def fallen(policy: PolicyView, actor: str) -> str:
    """Why nobody can speak for the actor any more: not named, or all their keys revoked; "" if somebody can."""
    name = actor.partition(":")[2]
    known = policy.team.person if actor.startswith("person:") else policy.team.agent
    if name not in known:
        return f"policy {policy.version} does not name {actor}"
    if live_keys(policy, name):
        return ""
    keys = [policy.revoked[key] for key in _keys(policy.team, name) if policy.revoked.get(key)]
    return f"{actor} was revoked" + (f": {keys[0]}" if keys else "")


def fallen_asker(policy: PolicyView, owner: str, principal: str) -> str:
    """Why nobody may ask for such a build any more; "" if somebody may. A trigger's build rests on the trigger."""
    if principal:
        named = principal.removeprefix("trigger:") in policy.team.trigger
        return "" if named else f"policy {policy.version} does not name {principal}"
    return fallen(policy, owner)


def stop_reason(policy: PolicyView, owner: str, principal: str) -> str:
    """Why a running build of theirs is to be stopped; "" if it may go on."""
    return fallen_asker(policy, owner, principal) if policy.team.limits.revoked is OnRevoked.STOP else ""


def _keys(team: Team, name: str) -> list[str]:
    keys = team.person[name].keys if name in team.person else (team.agent[name].key,) if name in team.agent else ()
    return [_bare(key) for key in keys]


def signers(chain: PolicyChain) -> Iterator[tuple[str, str]]:
    """Every actor that ever had a key in the chain, with the key: who signed, not who may."""
    for policy in chain.policies:
        for name, person in policy.team.person.items():
            yield from ((f"person:{name}", key) for key in person.keys)
        for name, agent in policy.team.agent.items():
            yield f"agent:{name}", agent.key


def actor_of(team: Team, key: str) -> str:
    """The actor that owns the key, or "" for a stranger."""
    for name, person in team.person.items():
        if key in (_bare(one) for one in person.keys):
            return f"person:{name}"
    for name, agent in team.agent.items():
        if key == _bare(agent.key):
            return f"agent:{name}"
    return ""


def selected(team: Team, actor: str, selectors: Iterable[str]) -> bool:
    """Whether one of the selectors (a name, "@group", "@agents", "@people") means this actor."""
    kind, _, name = actor.partition(":")
    for selector in selectors:
        if selector == name and (name in team.person if kind == "person" else name in team.agent):
            return True
        if kind == "agent" and selector == "@agents" and name in team.agent:
            return True
        if kind == "person" and name in team.person:
            groups = team.person[name].groups
            if selector == "@people" or (selector.startswith("@") and selector[1:] in groups):
                return True
    return False


def has_role(team: Team, actor: str, role: Role) -> bool:
    """Whether the actor is a person with that role; an admin may do what a maintainer may."""
    kind, _, name = actor.partition(":")
    if kind != "person" or name not in team.person:
        return False
    roles = team.person[name].roles
    return role in roles or (role is Role.MAINTAIN and Role.ADMIN in roles)


def may_claim(team: Team, actor: str, pool: str, owner: str, alias: str = "", *, as_owner: bool = False) -> bool:
    """Whether the actor may take builds of the pool; in the pool `here` that is the build's own requester.

    A build that runs as an `alias` is for that alias's nodes alone; one that runs `as_owner` for agents in its
    owner's own account.
    """
    if alias and (alias not in team.alias or actor.removeprefix("agent:") not in team.alias[alias].nodes):
        return False
    if as_owner and pool != HERE and not is_account_of(team, actor, owner):
        return False
    if pool == HERE:
        return actor == owner and has_role(team, actor, Role.REQUEST)
    kind, _, name = actor.partition(":")
    if kind != "agent" or name not in team.agent or pool not in team.pool:
        return False
    return pool in team.agent[name].pools and selected(team, actor, team.pool[pool].claim)


def is_account_of(team: Team, agent: str, owner: str) -> bool:
    """Whether the agent builds in the account of the person `owner`."""
    known = team.agent.get(agent.removeprefix("agent:"))
    return known is not None and known.person != "" and owner == f"person:{known.person}"


def runs_as_owner(request: Request | None) -> bool:
    """Whether the build is to run as whoever asked for it."""
    return request is not None and request.definition.place.as_ == "requester"


def may_maintain(team: Team, actor: str, pool: str) -> bool:
    """Whether the actor is a maintainer of the pool: an admin, or one whom the pool names and who has the role."""
    if has_role(team, actor, Role.ADMIN):
        return True
    return (
        pool in team.pool and has_role(team, actor, Role.MAINTAIN) and selected(team, actor, team.pool[pool].maintain)
    )


def may_speak(team: Team, actor: str, principal: str) -> bool:
    """Whether the actor may speak for a trigger."""
    trigger = team.trigger.get(principal.removeprefix("trigger:"))
    return principal.startswith("trigger:") and trigger is not None and selected(team, actor, trigger.keys)


def may_vouch(team: Team, actor: str, principal: str) -> bool:
    """Whether the actor's word for who pushed counts (a hook behind authenticated ssh)."""
    trigger = team.trigger.get(principal.removeprefix("trigger:"))
    return trigger is not None and selected(team, actor, trigger.vouches)


def may_request(team: Team, actor: str, pool: str, request: Request) -> bool:
    """Whether the actor may ask for this build; a promised one rests on its promise alone."""
    if request.cause.kind is CauseKind.PROMISE:
        return bool(actor)
    if pool == HERE:
        return request.cause.kind is CauseKind.PERSON and has_role(team, actor, Role.REQUEST)
    queue = team.pool.get(pool)
    # what is built and who wrote down how: both come from branches that the pool takes
    branches = (request.branch, request.config.branch)
    if (
        queue is None
        or not _matches(request.job, queue.jobs)
        or not all(_matches(one, queue.branches) for one in branches)
    ):
        return False
    alias = alias_of(request)
    if alias and not _from_alias(team, alias, request):
        return False
    if request.cause.kind is CauseKind.TRIGGER:
        return may_speak(team, actor, request.cause.principal)
    if alias:
        return has_role(team, actor, Role.ALIAS) and selected(team, actor, team.alias[alias].request)
    return has_role(team, actor, Role.REQUEST) and selected(team, actor, queue.request)


def alias_of(request: Request | None) -> str:
    """The alias that a build is to run as; "" for none."""
    who = request.definition.place.as_ if request else ""
    return who.removeprefix("alias:") if who.startswith("alias:") else ""


def _from_alias(team: Team, alias: str, request: Request) -> bool:
    """Whether the job's definition is from a branch that the alias trusts, in this repository."""
    known, config = team.alias.get(alias), request.config
    return known is not None and config.repo == "self" and _matches(config.branch, known.config)


def standings(
    policy: PolicyView, *, actor: str, key: str, pool: str, owner: str, principal: str, request: Request | None,
    alias: str = "", as_owner: bool = False,
) -> frozenset[Who]:  # fmt: skip
    """All that the signer is to a build under a policy, but HOLDER; nothing if the key is not the actor's.

    `request` is what the record asks for, if it is a request; `alias` what the build runs as, `as_owner` that
    it runs as its owner.
    """
    if not speaks_for(policy, actor, key):
        return frozenset()
    team = policy.team
    held = {
        Who.AGENT: may_claim(team, actor, pool, owner, alias, as_owner=as_owner),
        Who.OWNER: bool(owner) and actor == owner,
        Who.PRINCIPAL: bool(principal) and may_speak(team, actor, principal),
        Who.MAINTAINER: may_maintain(team, actor, pool),
        Who.REQUESTER: request is not None and may_request(team, actor, pool, request),
    }
    return frozenset(who for who, holds in held.items() if holds)


@lru_cache(maxsize=1 << 12)
def _bare(key: str) -> str:
    return " ".join(key.split()[:2])


def _matches(text: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(text, glob) for glob in globs)
