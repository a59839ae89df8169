"""Canonical JSON: one byte string for each document, and every other one refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citgit.errors import BadRecord
from citgit.records import canonical

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
_LEAF = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT
_DOCUMENT = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4), max_leaves=12
)


@given(_DOCUMENT)
def test_round_trip(document: Any) -> None:
    """What is written is ASCII, is what json.dumps gives, and is read back as the same value."""
    written = canonical.dumps(document)
    assert written.isascii()
    assert written == json.dumps(document, ensure_ascii=True, sort_keys=True, indent=2)
    assert canonical.loads(written) == document


@given(st.dictionaries(_TEXT, _DOCUMENT, min_size=1, max_size=4))
def test_other_layouts_are_refused(document: dict[str, Any]) -> None:
    """The same value without indentation, or with space or a line around it, is not canonical."""
    good = canonical.dumps(document)
    for text in (json.dumps(document), json.dumps(document, separators=(",", ":")), f" {good}", f"{good}\n"):
        with pytest.raises(BadRecord):
            canonical.loads(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1.0", "float"),
        ("1e3", "float"),
        ("NaN", "float"),
        ("-Infinity", "float"),
        ('{\n  "a": 1,\n  "a": 1\n}', "duplicate key"),
        ("9007199254740993", "integer"),
        ("-9007199254740993", "integer"),
        ("9" * 5000, "integer"),
        ("-0", "canonical"),
        ('"\\ud800"', "surrogate"),
        ('{\n  "\\udc00": 1\n}', "surrogate"),
        ('"\u00e9"', "ascii"),
        ('"\\u00E9"', "canonical"),
        ('"\\u0041"', "canonical"),
        ('"\\/"', "canonical"),
        ('{\n  "b": 1,\n  "a": 1\n}', "canonical"),
        ("[ ]", "canonical"),
        ("[\n  1 ,\n  2\n]", "canonical"),
        ("[1,]", "json"),
        ("", "json"),
        ("[]]", "json"),
        ('"a\tb"', "json"),
        ("[" * 30000, "depth"),
        ('"' + "a" * 65535 + '"', "size"),
    ],
)
def test_refused(text: str, rule: str) -> None:
    """Each text that is no canonical form names the rule that it breaks."""
    with pytest.raises(BadRecord) as caught:
        canonical.loads(text)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (1.5, "float"), (float("nan"), "float"), (2**53 + 1, "integer"), ("\ud83d\ude00", "surrogate"),
        ({1: 2}, "key"), (b"x", "type"), ("a" * 65535, "size"),
    ],
)  # fmt: skip
def test_never_written(value: Any, rule: str) -> None:
    """A value that has no canonical form is refused before it is written."""
    with pytest.raises(BadRecord) as caught:
        canonical.dumps(value)
    assert caught.value.rule in (rule, "type")


def test_the_bounds_themselves_are_allowed() -> None:
    """64 KiB, ±2^53 and 64 levels are the last that pass."""
    assert len(canonical.dumps("a" * 65534)) == canonical.MAX_BYTES
    assert canonical.loads(canonical.dumps([2**53, -(2**53)])) == [2**53, -(2**53)]
    deep: Any = 0
    for _ in range(64):
        deep = [deep]
    assert canonical.loads(canonical.dumps(deep)) == deep
    with pytest.raises(BadRecord, match="too deeply"):
        canonical.dumps([deep])
