"""What differs between two teams, table by table: for people who are about to publish or to sign one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from citgit.model.team import Team

TABLES = ("person", "agent", "pool", "trigger", "alias")


@dataclass(frozen=True, slots=True)
class Change:
    """An entry that came (`old` None), went (`new` None), or changed: the fields that differ, by name.

    `table` is that of team.toml; `name` is empty for `protected` and `limits`.
    """

    table: str
    name: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


def changes(before: Team, after: Team) -> Iterator[Change]:
    """The changes from one team to another, in the order of team.toml."""
    if before.protected != after.protected:
        yield Change("protected", "", {"branch": before.protected}, {"branch": after.protected})
    for table in TABLES:
        old, new = getattr(before, table), getattr(after, table)
        for name in sorted(old.keys() | new.keys()):
            yield from _entry(table, name, old.get(name), new.get(name))
    yield from _entry("limits", "", before.limits, after.limits)


def _entry(table: str, name: str, old: msgspec.Struct | None, new: msgspec.Struct | None) -> Iterator[Change]:
    if old == new:
        return
    if old is None or new is None:
        yield Change(table, name, _set(old), _set(new))
        return
    names = [one for one in old.__struct_fields__ if getattr(old, one) != getattr(new, one)]
    yield Change(table, name, *({one: getattr(each, one) for one in names} for each in (old, new)))


def _set(entry: msgspec.Struct | None) -> dict[str, Any] | None:
    """The fields that are not at their defaults."""
    if entry is None:
        return None
    return {one: getattr(entry, one) for one in entry.__struct_fields__ if one in msgspec.to_builtins(entry)}
