"""Canonical JSON of PROTOCOL §3: exactly one byte string for each document, and nothing else is read."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from citgit.errors import BadRecord

MAX_BYTES = 64 * 1024
_LIMIT = 2**53


def dumps(document: Any) -> str:
    """The canonical text of a JSON value, without a final newline.

    Raises:
        BadRecord: a float, an integer beyond ±2^53, a lone surrogate, a key that is no string, or > 64 KiB.
    """
    written = text(document)
    if len(written) > MAX_BYTES:
        raise BadRecord(f"document is too long: {len(written)} bytes, at most {MAX_BYTES}", rule="size")
    return written


def text(document: Any) -> str:
    """As `dumps`, without the limit on length: for payload files. Raises BadRecord."""
    _check(document)
    return json.dumps(document, ensure_ascii=True, sort_keys=True, indent=2, allow_nan=False)


def loads(data: str) -> Any:
    """The document, if `data` is its canonical form.

    Raises:
        BadRecord: it is not JSON, or not the canonical form; `rule` says which rule it breaks.
    """
    if len(data) > MAX_BYTES:
        raise BadRecord(f"document is too long: {len(data)} bytes, at most {MAX_BYTES}", rule="size")
    if not data.isascii():
        raise BadRecord("document is not ASCII", rule="ascii")
    try:
        document = json.loads(
            data, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_no_number, parse_int=_integer
        )
    except BadRecord:
        raise
    except RecursionError:
        raise BadRecord("document is nested too deeply", rule="depth") from None
    except ValueError as error:
        raise BadRecord(f"document is not JSON: {error}", rule="json") from None
    if dumps(document) != data:
        raise BadRecord("document is not in canonical form", rule="canonical")
    return document


def _check(value: Any, depth: int = 0) -> None:
    if depth > 64:
        raise BadRecord("document is nested too deeply", rule="depth")
    match value:
        case None | bool():
            pass
        case int():
            if not -_LIMIT <= value <= _LIMIT:
                raise BadRecord(f"integer beyond 2^53: {str(value)[:40]}", rule="integer")
        case str():
            if any("\ud800" <= char <= "\udfff" for char in value):
                raise BadRecord("lone surrogate in a string", rule="surrogate")
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise BadRecord(f"key is not a string: {key!r}", rule="key")
                _check(key, depth + 1)
                _check(item, depth + 1)
        case list() | tuple():
            for item in value:
                _check(item, depth + 1)
        case _:
            raise BadRecord(f"not a JSON value: {type(value).__name__}", rule="type")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadRecord(f"key stands twice: {twice[:80]!a}", rule="duplicate key")
    return document


def _no_number(text: str) -> NoReturn:
    raise BadRecord(f"number is not an integer: {text[:40]}", rule="float")


def _integer(text: str) -> int:
    if len(text) > 17:
        raise BadRecord(f"integer beyond 2^53: {text[:40]}", rule="integer")
    return int(text)
