"""Tables against types: every fault of shape in a config, found by walking the msgspec types.

The types are the one source of truth: a key that is added to a Struct is known here at once.
Durations and sizes ("30 min", "1 GiB") become integers where a type is marked with `x-unit`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from citgit.config.faults import found_text, meant
from citgit.config.lines import Path
from citgit.errors import Bug, UsageError
from citgit.model.units import parse_duration, parse_size

Report = Callable[[Path, str], None]
"""Takes a fault: the key's path and what is wrong there."""

MISSING: Any = object()
"""In place of a value that has a fault and can be left out."""

MAX_INTEGER = 2**53
_UNITS: dict[str, tuple[Callable[[str], int], str]] = {
    "duration": (parse_duration, 'a duration such as "30 min"'),
    "size": (parse_size, 'a size such as "1 GiB"'),
}
_SHELL = set("|&;<>$`*?~")


def check(kind: inspect.Type, value: Any, path: Path, report: Report) -> Any:
    """`value` with units converted and everything that has a fault left out; each fault goes to `report`."""
    if isinstance(kind, inspect.Metadata):
        return _unit(kind, value, path, report)
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        return _struct(kind, value, path, report)
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        checked = {key: check(kind.value_type, inner, (*path, key), report) for key, inner in value.items()}
        return {key: inner for key, inner in checked.items() if inner is not MISSING}
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        items = [check(kind.item_type, inner, (*path, at), report) for at, inner in enumerate(value)]
        return [_blank(kind.item_type) if item is MISSING else item for item in items]
    if isinstance(kind, inspect.EnumType):
        allowed = [member.value for member in kind.cls]
        if value in allowed:
            return value
        report(path, f"found {found_text(value)}{meant(value, allowed) or ';'} allowed: {expected(kind)}")
        return MISSING
    return _scalar(kind, value, path, report)


def _struct(kind: inspect.StructType, value: dict[str, Any], path: Path, report: Report) -> dict[str, Any]:
    fields = {entry.encode_name: entry for entry in kind.fields}
    checked = {}
    for key, inner in value.items():
        if key in fields:
            checked[key] = check(fields[key].type, inner, (*path, key), report)
        else:
            guess = meant(key, fields) or _elsewhere(kind, key) or ";"
            report((*path, key), f"unknown key{guess} allowed: {', '.join(sorted(fields))}")
    for key, entry in fields.items():
        if entry.required and key not in value:
            report((*path, key), f"missing; allowed: {expected(entry.type)}")
        if entry.required and checked.get(key, MISSING) is MISSING:
            checked[key] = _blank(entry.type)
    return {key: inner for key, inner in checked.items() if inner is not MISSING}


def _blank(kind: inspect.Type) -> Any:
    """Stands in for a value that has a fault where there must be one, so that the rest can be checked too."""
    if isinstance(kind, inspect.StructType):
        return {entry.encode_name: _blank(entry.type) for entry in kind.fields if entry.required}
    if isinstance(kind, inspect.EnumType):
        return next(iter(kind.cls)).value
    return [] if isinstance(kind, inspect.VarTupleType) else ""


def _elsewhere(kind: inspect.StructType, key: str) -> str:
    """A key that stands in the wrong table is named with the right one."""
    for table, inner in _tables(kind):
        if key in {entry.encode_name for entry in inner.fields}:
            return f"; did you mean '{table}.{key}'?"
    return ""


def _tables(kind: inspect.StructType) -> Iterator[tuple[str, inspect.StructType]]:
    for entry in kind.fields:
        if isinstance(entry.type, inspect.StructType):
            yield entry.encode_name, entry.type


def _unit(kind: inspect.Metadata, value: Any, path: Path, report: Report) -> Any:
    unit = (kind.extra_json_schema or {}).get("x-unit")
    if unit is None:
        return check(kind.type, value, path, report)
    parse, words = _UNITS[unit]
    if not isinstance(value, str):
        report(path, f"found {found_text(value)}; allowed: {words}")
        return MISSING
    try:
        number = parse(value)
    except UsageError as error:
        report(path, f"{error.message}; {error.hint}")
        return MISSING
    return _scalar(kind.type, number, path, report)


_SCALARS: dict[type[inspect.Type], type] = {
    inspect.StrType: str,
    inspect.IntType: int,
    inspect.BoolType: bool,
}


def _scalar(kind: inspect.Type, value: Any, path: Path, report: Report) -> Any:
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if not any(type(value) is _SCALARS.get(type(one)) for one in kinds):
        report(path, f"found {found_text(value)}; allowed: {expected(kind)}{_rewrite(kind, value, path)}")
        return MISSING
    if type(value) is int and abs(value) > MAX_INTEGER:
        report(path, f"found {found_text(value)}; allowed: an integer within 2^53")
        return MISSING
    if isinstance(value, str) and "\0" in value:
        report(path, f"found {found_text(value)}; allowed: a string without NUL")
        return MISSING
    return value


def _rewrite(kind: inspect.Type, value: Any, path: Path) -> str:
    """For a string where an array belongs: the array that was meant."""
    if not (isinstance(kind, inspect.VarTupleType) and isinstance(kind.item_type, inspect.StrType)):
        return ""
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        return ""
    words = [value]
    if path[-1] == "command":
        try:
            words = ["sh", "-c", value] if _SHELL & set(value) else shlex.split(value)
        except ValueError:
            words = ["sh", "-c", value]
    return "; write [" + ", ".join(msgspec.json.encode(word).decode() for word in words) + "]"


def expected(kind: inspect.Type) -> str:
    """What `kind` allows, in words."""
    if isinstance(kind, inspect.Metadata):
        unit = (kind.extra_json_schema or {}).get("x-unit")
        return _UNITS[unit][1] if unit else expected(kind.type)
    if isinstance(kind, inspect.EnumType):
        return ", ".join(str(member.value) for member in kind.cls)
    if isinstance(kind, inspect.VarTupleType):
        return f"an array of {_plural(kind.item_type)}"
    if isinstance(kind, inspect.UnionType):
        return " or ".join(expected(one) for one in kind.types)
    for known, words in (
        (inspect.StrType, "a string"),
        (inspect.IntType, "an integer"),
        (inspect.BoolType, "true or false"),
        (inspect.StructType, "a table"),
        (inspect.DictType, "a table"),
    ):
        if isinstance(kind, known):
            return words
    raise Bug(f"a config type that cannot be checked: {kind!r}")


def _plural(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.StrType):
        return "strings"
    if isinstance(kind, inspect.StructType):
        return "tables"
    if isinstance(kind, inspect.EnumType):
        return f"these: {expected(kind)}"
    return "values"
