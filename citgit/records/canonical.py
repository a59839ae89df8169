"""Canonical JSON of PROTOCOL §3: exactly one byte string for each document, and nothing else is read."""

from __future__ import annotations

import json
from contextlib import suppress
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, NoReturn

import msgspec

from citgit.errors import BadRecord

MAX_BYTES = 64 * 1024
_LIMIT = 2**53
_DEEPEST = 64
_encode = msgspec.json.Encoder(order="sorted").encode


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
    return _quickly(document) or _written(document, "\n", 0)


def loads(data: str) -> Any:
    """The document, if `data` is its canonical form.

    Raises:
        BadRecord: it is not JSON, or not the canonical form; `rule` says which rule it breaks.
    """
    if len(data) > MAX_BYTES:
        raise BadRecord(f"document is too long: {len(data)} bytes, at most {MAX_BYTES}", rule="size")
    if not data.isascii():
        raise BadRecord("document is not ASCII", rule="ascii")
    with suppress(msgspec.DecodeError, RecursionError):
        quick = msgspec.json.decode(data)
        if _quickly(quick) == data:
            return quick
    # what is wrong with it is found out at leisure
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


def _quickly(document: Any) -> str:
    """The canonical text of most documents, by C; "" where that differs, or a reason to refuse is to be told."""
    if not _is_plain(document, 0):
        return ""
    written = msgspec.json.format(_encode(document), indent=2)
    # what `json` escapes and msgspec does not: a reader does this for every record
    return written.decode() if b"\x7f" not in written else ""


def _is_plain(value: Any, depth: int) -> bool:
    """Whether nothing in it could be refused; strings may turn out to be."""
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is int:
        return bool(-_LIMIT <= value <= _LIMIT)
    if kind is dict or kind is list or kind is tuple:
        if depth >= _DEEPEST:
            return False
        items = value.values() if kind is dict else value
        for item in items:
            # most are strings: each is spared a call
            if not (item.isascii() if type(item) is str else _is_plain(item, depth + 1)):
                return False
        return kind is not dict or all(type(key) is str and key.isascii() for key in value)
    return value is None or kind is bool


# json.dumps(ensure_ascii=True, sort_keys=True, indent=2) gives the same text, but tells less of what it refuses.
def _written(value: Any, line: str, depth: int) -> str:
    if depth > _DEEPEST:
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
