"""The schemas that editors use: made from the types, complete, and in agreement with the checker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tomli

from citgit.config.explain import KEYS
from citgit.config.schema import cit_schema, main, schemas, team_schema
from citgit.model.units import parse_duration, parse_size

ROOT = Path(__file__).parents[2]
SCHEMAS = {"cit": cit_schema(), "team": team_schema()}


def test_no_drift(tmp_path: Path) -> None:
    """The files in schemas/ are what the types give."""
    assert main([str(tmp_path)]) == 0
    for name in schemas():
        made = (tmp_path / name).read_text()
        assert (ROOT / "schemas" / name).read_text() == made, "run: python -m citgit.config.schema schemas"


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder it says how it is used."""
    assert main([]) == 2
    assert "usage: " in capsys.readouterr().err


def test_every_key_is_explained() -> None:
    """Each key has its line, and no line is left of a key that is gone."""
    keys = {
        f"{name}.{key}"
        for schema in SCHEMAS.values()
        for name, table in schema["$defs"].items()
        for key in table.get("properties", {})
    }
    assert keys == set(KEYS)


def test_every_table_is_closed() -> None:
    """Editors mark unknown keys."""
    tables = [table for schema in SCHEMAS.values() for table in schema["$defs"].values()]
    assert all(table["additionalProperties"] is False for table in tables if table.get("type") == "object")


@pytest.mark.parametrize(("key", "parse"), [("time", parse_duration), ("output", parse_size)])
def test_units_in_schema_and_parser_agree(key: str, parse: Any) -> None:
    """Examples and defaults follow the pattern and can be parsed; other text does neither."""
    entry = SCHEMAS["cit"]["$defs"]["Limits"]["properties"][key]
    for text in [*entry["examples"], entry["default"]]:
        assert re.search(entry["pattern"], text)
        assert parse(text) > 0
    assert not any(re.search(entry["pattern"], text) for text in ("30", "30 x", "-1 s", "1.5 h"))


def agrees(schema: dict[str, Any], node: dict[str, Any], value: Any) -> bool:
    """Whether `value` fits `node`: the part of JSON Schema that these schemas use."""
    if "$ref" in node:
        return agrees(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]], value)
    if "anyOf" in node:
        return any(agrees(schema, one, value) for one in node["anyOf"])
    if "enum" in node:
        return value in node["enum"]
    if node["type"] == "object":
        properties, others = node.get("properties", {}), node["additionalProperties"]
        names = re.compile(node.get("propertyNames", {}).get("pattern", ""))
        return (
            isinstance(value, dict)
            and all(
                agrees(schema, properties[key], inner)
                if key in properties
                else others is not False and names.search(key) is not None and agrees(schema, others, inner)
                for key, inner in value.items()
            )
            and set(node.get("required", ())) <= value.keys()
        )
    if node["type"] == "array":
        return isinstance(value, list) and all(agrees(schema, node["items"], inner) for inner in value)
    kinds = {"string": str, "integer": int, "boolean": bool}
    return type(value) is kinds[node["type"]] and re.search(node.get("pattern", ""), str(value)) is not None


@pytest.mark.parametrize("name", ["cit", "team"])
def test_the_sample_follows_the_schema(name: str) -> None:
    """The living example is valid for editors too, and a wrong key in it is not."""
    data = tomli.loads((ROOT / "sample-config-repo" / f"{name}.toml").read_text())
    assert agrees(SCHEMAS[name], SCHEMAS[name], data)
    assert not agrees(SCHEMAS[name], SCHEMAS[name], data | {"jbo": {}})
