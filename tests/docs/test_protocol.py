"""docs/protocol.md says what the code does: its tables, its example and its numbers."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest

from citgit.model import job, record
from citgit.records import canonical, commit
from citgit.records.envelope import read_record
from citgit.records.registry import SPECS
from citgit.rules import ids, leases
from citgit.rules.lifecycle import diagram

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text("utf-8")
_CELLS = re.compile(r"^\| `([a-z_0-9]+)` \| ([^|]+) \| ([^|]+) \| .+ \|$", re.MULTILINE)


def type_words(kind: Any) -> str:
    """A field's type as the page writes it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_words(one) for one in arguments)
    if origin is tuple:
        return f"list of {type_words(arguments[0])}"
    if origin is dict:
        return f"table of {type_words(arguments[1])}"
    if kind is job.Job:
        return "job"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "word"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return {str: "string", int: "integer", bool: "boolean", type(None): "null"}[kind]


def default_words(field: msgspec.structs.FieldInfo) -> str:
    """A field's default as the page writes it."""
    if field.required:
        return "required"
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if isinstance(default, Enum):
        return f"`{default.value}`"
    if isinstance(default, msgspec.Struct):
        return "all defaults"
    return {"()": "empty", "{}": "empty", "": '`""`', "None": "null", "False": "`false`"}.get(
        str(default), f"`{default}`"
    )


def structs() -> Iterator[type[msgspec.Struct]]:
    """Every struct of a record, bodies first, each once; a job's own are in the schema of cit.toml."""
    todo: list[Any] = [record.Head, *(spec.body for spec in SPECS.values())]
    seen: list[Any] = []
    while todo:
        kind = todo.pop(0)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind in seen or kind is job.Job:
                continue
            seen.append(kind)
            yield kind
            todo += [field.type for field in msgspec.structs.fields(kind)]
        else:
            todo += typing.get_args(kind)


def _section(name: str) -> str:
    found = re.search(rf"^#### `?{name}`?\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no section {name}"
    return found[1]


@pytest.mark.parametrize("kind", list(structs()), ids=lambda kind: kind.__name__)
def test_field_table_is_the_type(kind: type[msgspec.Struct]) -> None:
    """Each struct has a table of exactly its fields, with their types and defaults."""
    told = [(name, words.strip(), default.strip()) for name, words, default in _CELLS.findall(_section(kind.__name__))]
    fields = msgspec.structs.fields(kind)
    assert told == [(field.encode_name, type_words(field.type), default_words(field)) for field in fields]


def test_every_record_type_is_named() -> None:
    """The list of types is the registry's."""
    told = re.findall(r"^\| `([a-z]+)` \| \[[A-Z][a-z]+\]\(#[a-z]+\) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert told == list(SPECS)


def test_life_cycle_table_is_the_code_s() -> None:
    """Between the markers stands what the table of rules draws."""
    found = re.search(r"<!-- lifecycle -->\n(.*?)<!-- /lifecycle -->", PAGE, re.DOTALL)
    assert found
    assert found[1].strip() == diagram().strip()


def test_example_is_a_record() -> None:
    """The raw example is a commit that the reader takes, and the golden file of its type."""
    found = re.search(r"<!-- example -->\n```\n(.*?)```\n", PAGE, re.DOTALL)
    assert found
    data = found[1].encode("ascii")
    assert data == (ROOT / "tests" / "data" / "claim" / "record.txt").read_bytes()
    assert read_record(commit.parse(data)).head.type == "claim"


@pytest.mark.parametrize(
    "words",
    [
        f"{canonical.MAX_BYTES // 1024} KiB",
        f"{leases.MARGIN} × TTL",
        f"{leases.LONGEST_INTERVAL:.0f} s",
        ids.promise_id("01890000-0000-7000-8000-000000000001", 0),
        ids.trigger_id(1_700_000_000_000, "ab" * 32),
        commit.EMPTY_TREE,
    ],
)
def test_numbers_are_the_code_s(words: str) -> None:
    """Limits and worked examples on the page are those that the code has."""
    assert words in PAGE


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that exists."""
    for target in re.findall(r"\]\(([^)#: ]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
