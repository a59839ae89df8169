"""Parts that output marks off by itself: groups of GitHub, sections of GitLab, blocks of TeamCity, steps of ninja,
tests of ctest.

Their lines stay where they are; a file beside the root's streams says which bytes belong to which part.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from citgit.errors import NotFound
from citgit.interfaces import LogSource
from citgit.logs.capture import SECTIONS
from citgit.logs.clean import visible
from citgit.logs.local import LocalLog, Sections
from citgit.logs.read import times
from citgit.model.log import STREAMS, LogNode
from citgit.model.result import Exit

_MOST_BYTES = 16 << 20
"""What is looked at in all: it happens between the end of the command and its result."""

_MOST = 1000
_MOST_MARKS = 100_000
_DEPTH = 8
_BLOCK = 1 << 20
_NAME = 80

_MARK = re.compile(
    rb"(?:^|\n)(?:\x1b\[0K)?(?:"
    rb"(?:::|##\[)group(?:::|\])(?P<group>[^\r\n]{0,200})|(?P<endgroup>(?:::|##\[)endgroup(?:::|\]))"
    rb"|section_start:(?P<begun>\d{1,12}):(?P<section>[\w.-]{1,100})(?:\[[^\]\n]{0,100}\])?"
    rb"|section_end:(?P<over>\d{1,12}):(?P<ended>[\w.-]{1,100})"
    rb"|##teamcity\[(?P<kind>blockOpened|blockClosed|testSuiteStarted|testSuiteFinished)"
    rb" name='(?P<block>(?:\|.|[^'|\r\n]){0,200})'"
    rb"|\[\d{1,7}/\d{1,7}\] (?P<step>[^\r\n]{0,300})|(?P<failed>FAILED: )"
    rb"| *\d{1,6}/\d{1,6} Test +#\d{1,6}: (?P<test>[^\r\n]{1,200}?) \.{2,} *(?P<bad>\*\*\*)?"
    rb"|(?P<over_test> +Start +\d{1,6}: |\d{1,3}% tests passed)"
    rb")"
)
_NEEDLES = (b"group", b"section_", b"##teamcity[", b"/")
_ESCAPED = re.compile(r"\|(.)")
_ENDS = ("blockClosed", "testSuiteFinished")

# Of many steps of ninja and tests of ctest those that failed are parts; the others are what the log is about.
_FAILED_ONLY = ("step", "test")


@dataclass(slots=True)
class _Open:
    """A part whose end has not been seen: what it is called, where it began, what began it; its path from the root."""

    name: str
    begin: int
    kind: str
    started: int = 0
    failed: bool = False
    path: str = ""


@dataclass(slots=True)
class _Names:
    """The paths that are taken in the whole log, and how many marks may still be looked at."""

    taken: dict[str, int]
    marks: int = _MOST_MARKS

    def unique(self, path: str) -> str:
        """The path, or one with a number behind it."""
        name, count = path, self.taken.get(path, 0)
        while name in self.taken:
            count += 1
            name = f"{path}.{count + 1}"
        self.taken[path] = count
        self.taken.setdefault(name, 0)
        return name


@dataclass(slots=True)
class _Scan:
    """The parts of one stream of one component, in order."""

    node: LogNode
    names: _Names
    stack: list[_Open] = field(default_factory=list)
    found: list[tuple[_Open, int, int]] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        """Whether no further mark counts."""
        return len(self.found) >= _MOST or self.names.marks <= 0

    def mark(self, found: re.Match[bytes], at: int) -> None:
        """A mark whose line begins at byte `at`."""
        self.names.marks -= 1
        words = {key: value.decode(errors="replace") for key, value in found.groupdict().items() if value is not None}
        if "group" in words:
            self._open(_Open(words["group"], at, "group"), at)
        elif "endgroup" in words:
            self._close("group", "", at)
        elif "section" in words:
            self._open(_Open(words["section"], at, "section", int(words["begun"]) * 1000), at)
        elif "ended" in words:
            self._close("section", words["ended"], at, int(words["over"]) * 1000)
        elif "kind" in words and words["kind"] in _ENDS:
            self._close("block", _unescaped(words["block"]), at)
        elif "kind" in words:
            self._open(_Open(_unescaped(words["block"]), at, "block"), at)
        elif "step" in words:
            self._close("step", "", at)
            self._open(_Open(words["step"], at, "step"), at)
        elif "test" in words or "over_test" in words:
            self._close("test", "", at)
            if "bad" in words:
                self._open(_Open(words["test"], at, "test", failed=True), at)
        elif self.stack and self.stack[-1].kind == "step":
            self.stack[-1].failed = True

    def end(self, at: int) -> None:
        """The stream ends: what is open ends with it."""
        while self.stack:
            self._pop(at)

    def _open(self, one: _Open, at: int) -> None:
        if one.kind != "step":
            self._close("step", "", at)
        if len(self.stack) < _DEPTH and len(self.found) + len(self.stack) < _MOST:
            one.path = "" if one.kind in _FAILED_ONLY else self._path(one)
            self.stack.append(one)

    def _path(self, one: _Open) -> str:
        above = self.stack[-1].path if self.stack else self.node.path
        return self.names.unique(f"{above}/{_safe(one.name)}" if above else _safe(one.name))

    def _close(self, kind: str, name: str, at: int, ended: int = 0) -> None:
        if any(one.kind == kind and name in ("", one.name) for one in self.stack):
            while not (self.stack[-1].kind == kind and name in ("", self.stack[-1].name)):
                self._pop(at)
            self._pop(at, ended)

    def _pop(self, at: int, ended: int = 0) -> None:
        one = self.stack.pop()
        if one.failed:
            one.path = self._path(one)
        if one.path:
            self.found.append((one, at, ended))


def mark_off(root: Path) -> None:
    """Writes which parts the output of a finished log marks off, if there are any."""
    source = LocalLog(root)
    sections: list[LogNode] = []
    left = _MOST_BYTES
    with contextlib.suppress(NotFound, OSError):
        nodes = [node for node in source.nodes() if not node.stream]
        names = _Names({node.path: 0 for node in nodes})
        for node in nodes:
            left -= node.out + node.err
            if left < 0:
                continue
            with contextlib.suppress(NotFound, OSError, ValueError):  # this part is damaged: the others are not
                for stream in STREAMS:
                    sections += _sections(source, node, stream, names)
        if sections:
            scratch = root / f".{SECTIONS}.new"
            scratch.unlink(missing_ok=True)
            handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(Sections(sections=tuple(sections[:_MOST]))) + b"\n")
            scratch.replace(root / SECTIONS)


def _sections(source: LogSource, node: LogNode, stream: str, names: _Names) -> list[LogNode]:
    scan = _Scan(node, names)
    size = node.out if stream == "out" else node.err
    at, rest = 0, b""
    while not scan.is_full and (block := source.read(node.path, stream, at, _BLOCK)):
        text = rest + block
        end = text.rfind(b"\n") + 1 if at + len(block) < size else len(text)
        if any(needle in text for needle in _NEEDLES):
            for found in _MARK.finditer(text, 0, end):
                if scan.is_full:
                    break
                begin = found.start() + (text[found.start() : found.start() + 1] == b"\n")
                scan.mark(found, at - len(rest) + begin)
        # the end of the last whole line stays: a mark begins behind one
        rest = text[max(0, end - 1) :] if end else text[-_NAME:]
        at += len(block)
    # what was not looked at any more belongs to what was open then
    scan.end(size)
    offsets = sorted({one.begin for one, _, _ in scan.found} | {end for _, end, _ in scan.found})
    when = dict(zip(offsets, times(source, node.path, stream, offsets), strict=True))
    return [
        LogNode(
            path=one.path, within=node.path, stream=stream, begin=one.begin, end=end,
            started=one.started or node.started + when[one.begin],
            ended=max(1, ended or node.started + when[end]), exit=Exit(status=1) if one.failed else Exit(),
        )
        for one, end, ended in sorted(scan.found, key=lambda each: (each[0].begin, -each[1]))
    ]  # fmt: skip


def _safe(name: str) -> str:
    """A name as one part of a path, on one line: nothing in it that could not be typed."""
    clean = "".join(one if one.isprintable() else "\ufffd" for one in visible(name, colour=False).replace("/", ":"))
    clean = clean.strip()[:_NAME].strip()
    return clean if clean not in ("", ".", "..") else "_"


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: {"n": " ", "r": " "}.get(found[1], found[1]), text)
