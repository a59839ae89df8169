"""How policies are put into words: one as a whole, and what changes from one to the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from citgit.model.policy import PolicyChain, PolicyView
from citgit.model.team import Team
from citgit.programs.wording import plain, span
from citgit.rules.changes import Change, changes
from citgit.wiring.keys import fingerprint


def policy_lines(chain: PolicyChain, view: PolicyView, now: int) -> Iterator[str]:
    """A policy for people: who signed it, and who may do what under it."""
    signed = ", ".join([view.actor, *(f"person:{name}" for name in view.cosigners if f"person:{name}" != view.actor)])
    yield f"policy {view.version} ({view.oid[:12]}), signed by {signed}, {span(now - view.time)} ago"
    yield f"root {chain.repo}" + (f", generation {view.generation}" if view.generation else "")
    if view.reason:
        yield f"because: {plain(view.reason)}"
    if view.hold:
        yield "it HOLDS all claims: nothing is built until an admin publishes the next one"
    team = view.team
    yield from _section("people", {name: _person(view, name) for name in team.person})
    yield from _section("agents", {name: _agent(view, name) for name in team.agent})
    yield from _section("pools", {name: _fields(pool) for name, pool in team.pool.items()})
    yield from _section("triggers", {name: _fields(trigger) for name, trigger in team.trigger.items()})
    yield from _section("aliases", {name: _fields(alias) for name, alias in team.alias.items()})
    yield "limits: " + ", ".join(f"{name} {_limit(name, value)}" for name, value in _all(team.limits).items())
    yield from _section("revoked keys", {fingerprint(key): plain(why) for key, why in view.revoked.items()})
    yield f"what counts is {team.protected}'s team.toml, once an admin runs 'cit policy publish'"


def change_lines(before: Team, after: Team) -> list[str]:
    """What differs, a line for each entry of team.toml."""
    return [_change(one) for one in changes(before, after)]


def view_changes(before: PolicyView | None, after: PolicyView) -> list[str]:
    """What a policy changed against the one before it, keys that it revoked and holds included."""
    lines = change_lines(before.team if before else Team(), after.team)
    lines += [f"- key {fingerprint(key)} is revoked: {plain(why)}" for key, why in _newly(before, after).items()]
    if after.hold != (before.hold if before else False):
        lines.append("~ it holds all claims" if after.hold else "~ it lifts the hold")
    return lines


def listed_keys(view: PolicyView, team: Team) -> list[str]:
    """Revoked keys that the team still lists, as sentences."""
    return [
        f"team.toml still lists {name}'s revoked key {fingerprint(key)}: it does not count; take it out"
        for name, key in _keys(team)
        if " ".join(key.split()[:2]) in view.revoked
    ]


def _keys(team: Team) -> Iterator[tuple[str, str]]:
    for name, person in team.person.items():
        yield from ((name, key) for key in person.keys)
    for name, agent in team.agent.items():
        yield name, agent.key


def _newly(before: PolicyView | None, after: PolicyView) -> Mapping[str, str]:
    return {key: why for key, why in after.revoked.items() if not before or key not in before.revoked}


def _limit(name: str, value: Any) -> str:
    return span(value) if name in ("ttl", "beat", "keep") else _words(value)


def _section(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    if entries:
        yield f"{title}:"
        width = max(len(plain(name)) for name in entries)
        yield from (f"  {plain(name):<{width}}  {words}".rstrip() for name, words in entries.items())


def _person(view: PolicyView, name: str) -> str:
    person = view.team.person[name]
    roles = ", ".join(role.value for role in person.roles) or "no role"
    groups = "".join(f"  @{group}" for group in person.groups)
    return f"{roles}{plain(groups)}  {_fingerprints(view, person.keys)}"


def _agent(view: PolicyView, name: str) -> str:
    agent = view.team.agent[name]
    rest = {key: value for key, value in _all(agent).items() if key != "key" and value}
    return f"{_pairs(rest)}  {_fingerprints(view, (agent.key,))}"


def _fingerprints(view: PolicyView, keys: Iterable[str]) -> str:
    shown = []
    for key in keys:
        bare = " ".join(key.split()[:2])
        shown.append(fingerprint(bare) + (" (revoked)" if bare in view.revoked else ""))
    return " ".join(shown)


def _change(one: Change) -> str:
    label = plain(f"{one.table} {one.name}".strip())
    if one.old is None:
        return f"+ {label}: {_pairs(one.new or {})}"
    if one.new is None:
        return f"- {label}"
    return f"~ {label}: " + "; ".join(
        f"{name} {_words(one.old[name], name)} -> {_words(one.new[name], name)}" for name in one.new
    )


def _fields(entry: Any) -> str:
    return _pairs({name: value for name, value in _all(entry).items() if value})


def _all(entry: Any) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


def _pairs(fields: Mapping[str, Any]) -> str:
    return "; ".join(f"{name} {_words(value, name)}" for name, value in fields.items())


def _words(value: Any, name: str = "") -> str:
    if isinstance(value, tuple):
        return ", ".join(_words(one, name) for one in value) or "nothing"
    if isinstance(value, Enum):
        return str(value.value)
    if name in ("key", "keys") and " " in value:
        return fingerprint(value)
    return plain(value if value != "" else "nothing")
