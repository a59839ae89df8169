"""The position of every key, exact for every way to write TOML."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from citgit.config.lines import MAX_DEPTH, Path, key_lines
from citgit.errors import UsageError

TRICKY = '''\
# a comment with [brackets] = and "quotes"
top = 1

[job.check]  # header
command = [
  "make", # ] not the end
  'che"ck',
]
env.set = { CFLAGS = "-O2 # no comment", "quoted.key" = 'x}' }
text = """
[not.a.header]
key = "no key" \\""" still inside
"""""
after = \'\'\'
[neither]\'\'\'
"sp ace"."d\\u006ft" = 1979-05-27 07:32:00
[[list]]
a = 1
[list.sub]
b = 2
[[list]]
a = [[1,
2], {x = 1}]
[job]
z = true
'''

EXPECTED: dict[Path, int] = {
    ("top",): 2,
    ("job",): 24,
    ("job", "check"): 4,
    ("job", "check", "command"): 5,
    ("job", "check", "command", 0): 6,
    ("job", "check", "command", 1): 7,
    ("job", "check", "env"): 9,
    ("job", "check", "env", "set"): 9,
    ("job", "check", "env", "set", "CFLAGS"): 9,
    ("job", "check", "env", "set", "quoted.key"): 9,
    ("job", "check", "text"): 10,
    ("job", "check", "after"): 14,
    ("job", "check", "sp ace"): 16,
    ("job", "check", "sp ace", "dot"): 16,
    ("list",): 17,
    ("list", 0): 17,
    ("list", 0, "a"): 18,
    ("list", 0, "sub"): 19,
    ("list", 0, "sub", "b"): 20,
    ("list", 1): 21,
    ("list", 1, "a"): 22,
    ("list", 1, "a", 0): 22,
    ("list", 1, "a", 0, 0): 22,
    ("list", 1, "a", 0, 1): 23,
    ("list", 1, "a", 1): 23,
    ("list", 1, "a", 1, "x"): 23,
    ("job", "z"): 25,
}


def test_every_way_to_write_a_key() -> None:
    """Headers, dotted and quoted keys, inline tables, arrays, and strings that look like keys."""
    tomli.loads(TRICKY)
    assert key_lines(TRICKY) == EXPECTED


def test_carriage_returns() -> None:
    """Windows line ends count once."""
    assert key_lines("a = 1\r\n\r\nb = 2\r\n") == {("a",): 1, ("b",): 3}


def test_deep_nesting_is_refused() -> None:
    """A text that nests without end is a fault, not a crash."""
    for text in (".".join("a" * (MAX_DEPTH + 1)) + " = 1", "a = " + "[" * 40 + "]" * 40):
        tomli.loads(text)
        with pytest.raises(UsageError, match="nested deeper"):
            key_lines(text)


KEYS = st.text(alphabet=st.sampled_from('ab-_.é "\\#=[]'), min_size=1, max_size=5)
SCALARS = st.one_of(
    st.integers(-99, 99),
    st.booleans(),
    st.text(alphabet=st.sampled_from("ab\n\"'#[]{}=,\\ "), max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


class Writer:
    """Writes a value as TOML in a randomly chosen style and notes the line of every key."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        self.out = ""
        self.lines: dict[Path, int] = {}

    def note(self, path: Path, *, again: bool = False) -> None:
        if again or path not in self.lines:
            self.lines[path] = self.out.count("\n") + 1

    def blank(self) -> None:
        self.out += self.pick.choice(["", "", "\n", "  # ] } = ''\n", "\n\n"])

    def key(self, key: str) -> str:
        if key.strip("ab-_") == "" and self.pick.random() < 0.7:
            return key
        return json.dumps(key, ensure_ascii=self.pick.random() < 0.5)

    def scalar(self, value: object) -> None:
        if not isinstance(value, str):
            self.out += str(value).lower()
        elif "'" not in value and self.pick.random() < 0.4:
            # A newline right behind the opening quotes is not part of the string.
            long = "\n" in value or self.pick.random() < 0.5
            self.out += f"'''\n{value}'''" if long else f"'{value}'"
        elif self.pick.random() < 0.5:
            self.out += '"""\n' + value.replace("\\", "\\\\").replace('""', '"\\"') + '"""'
        else:
            self.out += json.dumps(value)

    def value(self, value: Any, path: Path) -> None:
        if isinstance(value, dict):
            self.out += "{"
            for index, (key, inner) in enumerate(value.items()):
                self.out += ", " if index else ""
                self.note((*path, key))
                self.out += self.key(key) + " = "
                self.value(inner, (*path, key))
            self.out += "}"
        elif isinstance(value, list):
            self.out += "["
            for index, inner in enumerate(value):
                self.blank()
                self.note((*path, index))
                self.value(inner, (*path, index))
                self.blank()
                self.out += ","
            self.blank()
            self.out += "]"
        else:
            self.scalar(value)

    def pairs(self, table: dict[str, Any], path: Path, prefix: tuple[str, ...] = ()) -> None:
        """The plain pairs of a table first (dotted where they nest), its sub-tables with headers after."""
        later = []
        for key, inner in table.items():
            here = (*path, *prefix, key)
            style = self.pick.random()
            if isinstance(inner, dict) and not prefix and style < 0.4:
                later.append((key, inner))
            elif isinstance(inner, dict) and inner and style < 0.7:
                self.pairs(inner, path, (*prefix, key))
            else:
                for size in range(1, len(prefix) + 2):
                    self.note((*path, *(*prefix, key)[:size]))
                self.out += ".".join(self.key(part) for part in (*prefix, key)) + " = "
                self.value(inner, here)
                self.out += "\n"
        for key, inner in later:
            self.blank()
            self.out += "\n"
            here = (*path, key)
            for size in range(1, len(here)):
                self.note(here[:size])
            self.note(here, again=True)
            self.out += "[" + " . ".join(self.key(str(part)) for part in here) + "]\n"
            self.pairs(inner, here)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.integers(0, 2**32))
def test_generated_documents(value: dict[str, Any], seed: int) -> None:
    """Whatever the style, each key and element stands on the line where it was written."""
    writer = Writer(seed)
    writer.pairs(value, ())
    assert tomli.loads(writer.out) == value
    assert key_lines(writer.out) == writer.lines
