"""JSON Schemas of cit.toml and team.toml, made from the types: `python -m citgit.config.schema DIR`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from citgit.config.explain import KEYS
from citgit.model.job import CitToml
from citgit.model.team import Team
from citgit.model.units import duration_text, size_text

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_UNITS: dict[str, dict[str, Any]] = {
    "duration": {
        "pattern": "^[0-9]{1,12} ?(s|sec|seconds?|min|minutes?|h|hours?|days?|weeks?)$",
        "examples": ["30 s", "30 min", "2 h", "1 day"],
    },
    "size": {
        "pattern": "^[0-9]{1,12} ?(B|[KMGT]iB|[kMGT]B)$",
        "examples": ["200 MiB", "1 GiB"],
    },
}
_NAME = "^[a-z0-9][a-z0-9._-]{0,62}$"
_TEXTS = {"duration": duration_text, "size": size_text}


def cit_schema() -> dict[str, Any]:
    """The schema of cit.toml."""
    return _schema(CitToml, "cit.toml: jobs and the repositories they name")


def team_schema() -> dict[str, Any]:
    """The schema of team.toml."""
    return _schema(Team, "team.toml: who may do what")


def schemas() -> dict[str, str]:
    """All schema files of config: name -> text."""
    made = {"cit.schema.json": cit_schema(), "team.schema.json": team_schema()}
    return {name: json.dumps(schema, indent=2, ensure_ascii=True) + "\n" for name, schema in made.items()}


def _schema(kind: type, title: str) -> dict[str, Any]:
    made = msgspec.json.schema(kind)
    tables = {name: _table(name, table) for name, table in sorted(made["$defs"].items())}
    return {"$schema": DIALECT, "title": title, "$ref": made["$ref"], "$defs": tables}


def _table(name: str, table: dict[str, Any]) -> dict[str, Any]:
    if table.get("type") != "object":
        return table
    properties = {key: _property(f"{name}.{key}", entry) for key, entry in table["properties"].items()}
    return {**table, "properties": properties, "additionalProperties": False}


def _property(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    made = dict(entry)
    unit = made.pop("x-unit", None)
    if unit:
        # Config writes text with a unit, where records have integers.
        made = {"type": "string", **_UNITS[unit]}
        if "default" in entry:
            made["default"] = _TEXTS[unit](entry["default"])
    if "additionalProperties" in made and name != "Env.set":
        made["propertyNames"] = {"pattern": _NAME}
    return {"description": KEYS[name], **made}


def main(argv: list[str]) -> int:
    """Writes the schemas into the folder that is named."""
    if len(argv) != 1 or argv[0].startswith("-"):
        sys.stderr.write("usage: python -m citgit.config.schema DIR\n")
        return 2
    for name, text in schemas().items():
        Path(argv[0], name).write_text(text, encoding="ascii")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
