"""The only templating there is: `{matrix.NAME}` and `{parameter.NAME}`, replaced once, per argument."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from citgit.model.job import Value
from citgit.model.pattern import pattern

_FIELD = pattern(r"\{((?:matrix|parameter)\.[^{}\s]*)\}")


def fields(text: str) -> Iterator[str]:
    """The fields that `text` uses: "matrix.cc", "parameter.level". Other braces mean nothing."""
    return (found[1] for found in _FIELD.finditer(text))


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with each field replaced; what is put in is not looked at again. Raises KeyError."""
    return _FIELD.sub(lambda found: values[found[1]], text)


def value_text(value: Value) -> str:
    """How a parameter's value reads in a command or a variable."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def variable(kind: str, name: str) -> str:
    """The environment variable of a matrix or parameter name: ("matrix", "cc") -> "CIT_MATRIX_CC"."""
    short = {"matrix": "MATRIX", "parameter": "PARAM"}[kind]
    return f"CIT_{short}_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
