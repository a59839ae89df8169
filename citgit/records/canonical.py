"""Canonical JSON of PROTOCOL §3: exactly one byte string for each document, and nothing else is read."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _quoted
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
    return _written(document, "\n", 0)


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


# json.dumps(ensure_ascii=True, sort_keys=True, indent=2) gives the same text, but indents in Python, in five times
# the time, after a walk of its own over the document for the checks. A reader does this for every record.
def _written(value: Any, line: str, depth: int) -> str:
    if depth > 64:
        raise BadRecord("document is nested too deeply", rule="depth")
    match value:
        case str():
            return _string(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            if not -_LIMIT <= value <= _LIMIT:
                raise BadRecord(f"integer beyond 2^53: {str(value)[:40]}", rule="integer")
            return int.__repr__(value)
        case dict():
            for key in value:
                if not isinstance(key, str):
                    raise BadRecord(f"key is not a string: {key!r}", rule="key")
            inner = line + "  "
            items = [f"{_string(key)}: {_written(value[key], inner, depth + 1)}" for key in sorted(value)]
            return "{" + inner + ("," + inner).join(items) + line + "}" if items else "{}"
        case list() | tuple():
            inner = line + "  "
            items = [_written(item, inner, depth + 1) for item in value]
            return "[" + inner + ("," + inner).join(items) + line + "]" if items else "[]"
        case _:
            raise BadRecord(f"not a JSON value: {type(value).__name__}", rule="type")


def _string(value: str) -> str:
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise BadRecord("lone surrogate in a string", rule="surrogate")
    return _quoted(value)


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
