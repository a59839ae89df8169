"""Inheritance between jobs: `extends` merges tables before any default is filled in.

Only differences are written: tables merge key by key, arrays and single values replace what was inherited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Table = Mapping[str, Any]


def chain(name: str, jobs: Mapping[str, Any]) -> list[str]:
    """`name`, the job that it extends, and so on; ends before a job that is unknown or was met already."""
    names: list[str] = []
    while isinstance(name, str) and name in jobs and name not in names:
        names.append(name)
        name = jobs[name].get("extends", "")
    return names


def extended(name: str, jobs: Mapping[str, Any]) -> dict[str, Any]:
    """The table of job `name` with everything that it inherits; `extends` is its own."""
    merged: dict[str, Any] = {}
    for ancestor in reversed(chain(name, jobs)):
        merged = _over(jobs[ancestor], merged)
    merged.pop("extends", None)
    return merged | ({"extends": jobs[name]["extends"]} if "extends" in jobs[name] else {})


def _over(new: Table, old: Table) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        merged[key] = _over(value, old[key]) if both else value
    return merged
