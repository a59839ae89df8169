"""What a team means together: who is named, who exists, which keys and times fit. Every fault, in no order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from citgit.config import wellformed
from citgit.config.faults import found_text, unknown
from citgit.config.lines import Path
from citgit.config.public_key import key_fault, key_identity
from citgit.model.team import Role, Team

Found = Iterator[tuple[Path, str]]

AGENTS, PEOPLE = "@agents", "@people"


def team_faults(team: Team) -> Found:
    """The faults of `team`."""
    yield from _name_faults(team)
    yield from _key_faults(team)
    yield from _pool_faults(team)
    yield from _principal_faults(team)
    yield from _limit_faults(team)
    if text := wellformed.ref_fault(team.protected):
        yield ("protected",), text
    for name, agent in team.agent.items():
        if agent.slots < 1:
            yield ("agent", name, "slots"), f"found {agent.slots}; allowed: at least 1"
        for index, label in enumerate(agent.labels):
            if text := wellformed.label_fault(label):
                yield ("agent", name, "labels", index), text
        if agent.host.startswith("-") or not agent.host.isprintable() or " " in agent.host:
            yield ("agent", name, "host"), f'found {found_text(agent.host)}; allowed: a host such as "anna@lab1"'
        yield from _unknown(
            ("agent", name, "person"), "person", [agent.person] if agent.person else [], team.person.keys()
        )
    for name, person in team.person.items():
        if not person.mail.isprintable() or set("<>") & set(person.mail):
            yield ("person", name, "mail"), f"found {found_text(person.mail)}; allowed: a bare mail address"


def _name_faults(team: Team) -> Found:
    tables: tuple[tuple[str, Iterable[str]], ...] = (
        ("person", team.person),
        ("agent", team.agent),
        ("pool", team.pool),
        ("trigger", team.trigger),
        ("alias", team.alias),
    )
    for table, names in tables:
        for name in names:
            if text := wellformed.name_fault(name):
                yield (table, name), text
    for name in team.person.keys() & team.agent.keys():
        yield ("agent", name), f"{name!a} is a person too; allowed: a name that is only one of both"
    for name, person in team.person.items():
        for index, group in enumerate(person.groups):
            if f"@{group}" in (AGENTS, PEOPLE):
                yield ("person", name, "groups", index), f"reserved: @{group} means all of them"
            elif text := wellformed.name_fault(group):
                yield ("person", name, "groups", index), text


def _key_faults(team: Team) -> Found:
    lines: list[tuple[Path, str, str]] = []
    for name, person in team.person.items():
        if not person.keys:
            yield ("person", name, "keys"), "found none; allowed: at least one public key"
        lines += [(("person", name, "keys", at), name, line) for at, line in enumerate(person.keys)]
    lines += [(("agent", name, "key"), name, agent.key) for name, agent in team.agent.items()]
    for table, entries in (("person", team.person), ("agent", team.agent)):
        for name, entry in entries.items():
            if entry.age and (text := wellformed.age_fault(entry.age)):
                yield (table, name, "age"), text
    owners: dict[str, str] = {}
    for path, name, line in lines:
        if text := key_fault(line):
            yield path, text
        elif (owner := owners.setdefault(key_identity(line), name)) != name:
            yield path, f"the key of {owner!a} too; allowed: a key that belongs to one name"


def _groups(team: Team) -> set[str]:
    return {f"@{group}" for person in team.person.values() for group in person.groups}


def _members(team: Team) -> set[str]:
    return {AGENTS, PEOPLE, *_groups(team), *team.person, *team.agent}


def _unknown(path: Path, kind: str, words: Iterable[str], known: Set[str]) -> Found:
    for index, word in enumerate(words):
        if word not in known:
            yield (*path, index), unknown(kind, word, known)


def _pool_faults(team: Team) -> Found:
    members = _members(team)
    for name, agent in team.agent.items():
        for index, pool in enumerate(agent.pools):
            if pool not in team.pool:
                yield ("agent", name, "pools", index), unknown("pool", pool, team.pool)
    for name, entry in team.pool.items():
        yield from _unknown(("pool", name, "claim"), "agent", entry.claim, {AGENTS, *team.agent})
        yield from _unknown(("pool", name, "request"), "member", entry.request, members)
        yield from _unknown(("pool", name, "maintain"), "member", entry.maintain, members)
        yield from _branches(("pool", name, "branches"), entry.branches)
        for index, job in enumerate(entry.jobs):
            if not job or not job.isprintable():
                yield (
                    ("pool", name, "jobs", index),
                    f"found {found_text(job)}; allowed: a job or a pattern of jobs",
                )


def _principal_faults(team: Team) -> Found:
    members = _members(team)
    for name, trigger in team.trigger.items():
        yield from _unknown(("trigger", name, "keys"), "member", trigger.keys, members)
        yield from _unknown(("trigger", name, "vouches"), "member", trigger.vouches, members)
        speakers = _expanded(team, trigger.keys)
        for index, word in enumerate(trigger.vouches):
            if word in members and not _expanded(team, [word]) <= speakers:
                text = f"{found_text(word)} may not speak for the trigger; allowed: members of its keys"
                yield ("trigger", name, "vouches", index), text
    for name, alias in team.alias.items():
        if not alias.config:
            yield ("alias", name, "config"), "found none; allowed: at least one protected branch"
        yield from _branches(("alias", name, "config"), alias.config)
        yield from _unknown(("alias", name, "nodes"), "agent", alias.nodes, team.agent.keys())
        yield from _unknown(("alias", name, "request"), "member", alias.request, members)
        for index, pattern in enumerate(alias.artifacts):
            if text := wellformed.glob_fault(pattern):
                yield ("alias", name, "artifacts", index), text


def _branches(path: Path, patterns: Iterable[str]) -> Found:
    for index, pattern in enumerate(patterns):
        if text := wellformed.branch_glob_fault(pattern):
            yield (*path, index), text


def _expanded(team: Team, words: Iterable[str]) -> set[str]:
    """The people and agents that `words` stand for."""
    names: set[str] = set()
    for word in words:
        if word == AGENTS:
            names |= team.agent.keys()
        elif word == PEOPLE:
            names |= team.person.keys()
        elif word.startswith("@"):
            names |= {name for name, person in team.person.items() if word[1:] in person.groups}
        else:
            names.add(word)
    return names


def _limit_faults(team: Team) -> Found:
    limits = team.limits
    admins = sum(Role.ADMIN in person.roles for person in team.person.values())
    if not admins:
        yield ("person",), 'no admin; allowed: at least one person with the role "admin"'
    elif limits.admins > admins:
        yield ("limits", "admins"), f"found {limits.admins}; allowed: at most {admins}, as many as there are"
    for key, value, least in (
        ("ttl", limits.ttl, 1),
        ("beat", limits.beat, 1),
        ("attempts", limits.attempts, 1),
        ("keep", limits.keep, 1),
        ("admins", limits.admins, 1),
        ("priority", limits.priority, 0),
        ("poll", limits.poll, 1),
    ):
        if value < least:
            yield ("limits", key), f"found {value}; allowed: at least {least}"
    if limits.beat >= limits.ttl > 0:
        yield ("limits", "beat"), f"found {limits.beat} s; allowed: less than ttl, {limits.ttl} s"
