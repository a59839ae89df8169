"""Durations and sizes as people write them in config ("30 min", "1 GiB") and as integers in records."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from citgit.errors import UsageError
from citgit.model.pattern import pattern

_SECONDS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1,
    "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600,
    "day": 86400, "days": 86400,
    "week": 604800, "weeks": 604800,
}  # fmt: skip
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
          "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}  # fmt: skip
_QUANTITY = pattern(r"([0-9]{1,12}) ?([A-Za-z]+)")


def _parse(text: str, units: dict[str, int], kind: str, example: str) -> int:
    found = _QUANTITY.fullmatch(text)
    if not found or found[2] not in units:
        raise UsageError(
            f"not a {kind}: {text[:40]!a}", hint=f'write for example "{example}"; units: {", ".join(units)}'
        )
    return int(found[1]) * units[found[2]]


Seconds = Annotated[int, Meta(ge=0, extra_json_schema={"x-unit": "duration"})]
"""A duration in whole seconds; config writes it as "30 min"."""

Bytes = Annotated[int, Meta(ge=0, extra_json_schema={"x-unit": "size"})]
"""A size in bytes; config writes it as "1 GiB"."""


def parse_duration(text: str) -> int:
    """The seconds that `text` names. Raises UsageError."""
    return _parse(text, _SECONDS, "duration", "30 min")


def parse_size(text: str) -> int:
    """The bytes that `text` names. Raises UsageError."""
    return _parse(text, _BYTES, "size", "1 GiB")


def duration_text(seconds: int) -> str:
    """`seconds` in the greatest unit that divides it, as config writes it."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds and seconds % size == 0:
            count = seconds // size
            return f"{count} {'day' if unit == 'days' and count == 1 else unit}"
    return f"{seconds} s"


def size_text(count: int) -> str:
    """`count` bytes in the greatest binary unit that divides it, as config writes it."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]} {unit}"
    return f"{count} B"


def rounded_size(count: float) -> str:
    """`count` bytes as people say it: with one decimal at most, in the greatest fitting binary unit."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
