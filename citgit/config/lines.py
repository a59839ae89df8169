"""Where every key of a TOML text stands: a scanner for texts that tomli has already accepted.

It only has to find keys, so it may be lenient where tomli was strict.
"""

from __future__ import annotations

import re

from citgit.errors import UsageError
from citgit.model.pattern import pattern

Path = tuple[str | int, ...]
"""The way to a value: keys of tables, indexes of arrays."""

MAX_DEPTH = 32
"""Deeper nesting is refused: no key of ours needs it, and the table of positions stays small."""

_BLANK = pattern(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = pattern(r"[ \t]*")
_BARE = pattern(r"[A-Za-z0-9_-]+")
_SCALAR = pattern(r"[^,\]}#\r\n]+")
_STRING = pattern(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_ESCAPE = pattern(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|.)")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of every key and array element of `text`, which must be valid TOML.

    A table that is only implied stands where it is first mentioned, one that has a header at its header.

    Raises:
        UsageError: the nesting is deeper than MAX_DEPTH.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}
        self._counted = (0, 1)

    def document(self) -> None:
        table: Path = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _line(self) -> int:
        offset, line = self._counted
        line += self.text.count("\n", offset, self.at)
        self._counted = (self.at, line)
        return line

    def _skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if not found:
            return ""
        self.at = found.end()
        return found[0]

    def _note(self, path: Path, *, again: bool = False) -> None:
        if len(path) > MAX_DEPTH:
            raise UsageError(f"line {self._line()}: nested deeper than {MAX_DEPTH} levels")
        if again or path not in self.lines:
            self.lines[path] = self._line()

    def _header(self) -> Path:
        many = self.text.startswith("[[", self.at)
        line_start = self.at
        self.at += 2 if many else 1
        *parents, last = self._keys()
        self.at, end = line_start, self.at
        path: Path = ()
        for key in parents:
            path = self._latest((*path, key))
        path = (*path, last)
        if many:
            self._note(path)
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
        self._note(path, again=True)
        self.at = end + (2 if many else 1)
        return path

    def _latest(self, path: Path) -> Path:
        """`path`, or the newest table of the array that it names."""
        self._note(path)
        return (*path, self._arrays[path]) if path in self._arrays else path

    def _keys(self) -> list[str]:
        """A dotted key; leaves `at` behind it and the space that follows."""
        keys = []
        while True:
            self._skip(_SPACE)
            quoted = self.text[self.at] in "\"'"
            keys.append(_unquoted(self._skip(_STRING)) if quoted else self._skip(_BARE))
            if len(keys) > MAX_DEPTH:
                raise UsageError(f"line {self._line()}: nested deeper than {MAX_DEPTH} levels")
            self._skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _pair(self, table: Path) -> None:
        start = self.at
        keys = self._keys()
        end, self.at = self.at, start
        path = table
        for key in keys:
            path = (*path, key)
            self._note(path)
        self.at = end + 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        first = self.text[self.at]
        if first in "\"'":
            self._skip(_STRING)
        elif first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        self.at += 1
        index = 0
        while not self._closed("]"):
            self._note((*path, index))
            self._value((*path, index))
            index += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Steps over blanks, comments and commas; true, and behind it, at the closing bracket."""
        self._skip(_BLANK)
        while self.text.startswith(",", self.at):
            self.at += 1
            self._skip(_BLANK)
        if not self.text.startswith(bracket, self.at):
            return False
        self.at += 1
        return True


def _unquoted(key: str) -> str:
    """The value of a quoted key."""
    body = key[1:-1]
    if key[0] == "'":
        return body

    def plain(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if code[0] in "uUx" else _ESCAPED[code]

    return _ESCAPE.sub(plain, body)
