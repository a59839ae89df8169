"""Reads a component of a log tree as lines with times: in bounded memory, whatever was written into it."""

from __future__ import annotations

import heapq
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from citgit.errors import NotFound
from citgit.logs.capture import open_regular, read_about
from citgit.logs.tree import tree

LINE_BYTES = 64 * 1024
"""What is kept of one line; the rest is counted, not kept."""

_BLOCK = 256 * 1024
_TAIL_BYTES = 4 * 1024 * 1024
_MARK_BYTES = 80


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end: ms after the start (when its last byte was seen), stream, text as UTF-8 as far as it
    is, and how many bytes were `cut` from its end."""

    time_ms: int
    stream: str
    text: str
    cut: int = 0


@dataclass(slots=True)
class _Marks:
    """The marks of one stream, read forward: when was the stream as long as `offset`?"""

    file: BinaryIO
    column: int
    ms: int = 0
    offset: int = 0

    def time(self, end: int) -> int:
        """The first mark at which the stream had `end` bytes; the last one if none has."""
        while self.offset < end and (mark := _parse(self.file.readline(_MARK_BYTES))):
            self.ms, self.offset = mark[0], mark[self.column]
        return self.ms

    def skip_to(self, end: int) -> None:
        """Goes near the mark for `end` without reading all those before it."""
        low, high = 0, os.fstat(self.file.fileno()).st_size
        while high - low > 4096:
            middle = (low + high) // 2
            self.file.seek(middle)
            self.file.readline(_MARK_BYTES)
            mark = _parse(self.file.readline(_MARK_BYTES))
            if mark and mark[self.column] < end:
                low = middle
            else:
                high = middle
        self.file.seek(low)
        if low:
            self.file.readline(_MARK_BYTES)


def _parse(line: bytes) -> tuple[int, int, int] | None:
    words = line.split()
    if len(words) != 3 or not line.endswith(b"\n") or not all(word.isdigit() for word in words):
        return None
    return int(words[0]), int(words[1]), int(words[2])


@dataclass(slots=True)
class _Stream:
    """One stream, read forward; `head` is the start of a line whose end has not come yet."""

    name: str
    file: BinaryIO
    marks: _Marks
    at: int = 0
    head: bytearray = field(default_factory=bytearray)
    cut: int = 0
    open_line: bool = False

    def lines(self, limit: int) -> Iterator[Line]:
        """The lines that end before byte `limit`; what follows the last of them is kept for the next call."""
        self.file.seek(self.at)
        while self.at < limit and (block := self.file.read(min(_BLOCK, limit - self.at))):
            first, *others = block.split(b"\n")
            self._add(first)
            if others:
                end = self.at + len(first) + 1
                yield self._line(end)
                rest = others.pop()
                for whole in others:
                    end += len(whole) + 1
                    if len(whole) <= LINE_BYTES:
                        yield Line(self.marks.time(end), self.name, whole.decode(errors="replace"))
                    else:
                        self._add(whole)
                        yield self._line(end)
                self._add(rest)
            self.open_line = self.open_line or not block.endswith(b"\n")
            self.at += len(block)

    def last(self) -> Iterator[Line]:
        """The unfinished line at the end, if there is one."""
        if self.open_line:
            yield self._line(self.at)

    def _add(self, part: bytes) -> None:
        room = max(0, LINE_BYTES - len(self.head))
        self.head += part[:room]
        self.cut += max(0, len(part) - room)

    def _line(self, end: int) -> Line:
        line = Line(self.marks.time(end), self.name, self.head.decode(errors="replace"), self.cut)
        self.head.clear()
        self.cut, self.open_line = 0, False
        return line


def follow(component: Path, stopped: Callable[[], bool], sleep: Callable[[], None]) -> Iterator[Line]:
    """The lines of both streams in the order of their marks, as they appear.

    Ends when the component has ended or `stopped` says so, after what is there then; calls `sleep` when there is
    nothing new. Raises NotFound.
    """
    for step in _steps(component, (0, 0), stopped):
        if step is None:
            sleep()
        else:
            yield step


def watch(root: Path, stopped: Callable[[], bool]) -> Iterator[tuple[str, Line] | None]:
    """As `follow`, of the whole tree: lines with the path of their component; None whenever there is nothing new."""
    known: dict[str, Iterator[Line | None]] = {}
    over: list[bool] = []  # not empty: what is there now is all
    while not over:
        if stopped() or read_about(root).ended > 0:
            over.append(True)
        for node in tree(root):
            if node.path not in known:
                known[node.path] = _steps(node.place, (0, 0), lambda: bool(over))
            for step in known[node.path]:
                if step is None:
                    break
                yield node.path, step
        if not over:
            yield None


def read(component: Path) -> Iterator[Line]:
    """The lines that are there now. Raises NotFound."""
    return _now(component, (0, 0))


def _now(component: Path, begin: tuple[int, int]) -> Iterator[Line]:
    return (step for step in _steps(component, begin, lambda: True) if step is not None)


def _steps(component: Path, begin: tuple[int, int], stopped: Callable[[], bool]) -> Iterator[Line | None]:
    """The lines from the given bytes on, and None whenever there is nothing new."""
    with (
        _open(component, "out") as out,
        _open(component, "err") as err,
        _open(component, "times") as times,
        _open(component, "times") as again,
    ):
        streams = [
            _Stream("out", out, _Marks(times, 1), begin[0]),
            _Stream("err", err, _Marks(again, 2), begin[1]),
        ]
        for stream in streams:
            if stream.at:
                stream.marks.skip_to(stream.at)
        over = False
        while not over:
            over = stopped() or read_about(component).ended > 0
            sizes = [os.fstat(stream.file.fileno()).st_size for stream in streams]
            # While it runs, only up to the last mark: what has no time yet cannot be put in order.
            limits = sizes if over else _last_mark(component)
            yield from _merged([stream.lines(limit) for stream, limit in zip(streams, limits, strict=True)])
            if not over:
                yield None
        yield from _merged([stream.last() for stream in streams])


def _merged(parts: list[Iterator[Line]]) -> Iterator[Line]:
    return heapq.merge(*parts, key=lambda line: line.time_ms)


def _open(component: Path, name: str) -> BinaryIO:
    try:
        return open(open_regular(component / name), "rb")
    except OSError as fault:
        raise NotFound(
            f"no log in '{component}': {fault.strerror}", hint="`cit show BUILD` says where its log is"
        ) from fault


def _last_mark(component: Path) -> list[int]:
    with _open(component, "times") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 4 * _MARK_BYTES))
        for line in reversed(file.read().splitlines(keepends=True)):
            # The first may be a half one, but then it is not the last.
            if mark := _parse(line):
                return [mark[1], mark[2]]
    return [0, 0]


def tail(component: Path, count: int) -> list[Line]:
    """The last `count` lines of both streams together, read from their ends; none if there is no log."""
    if not (component / "times").is_file():
        return []
    begin = (_start_of_tail(component, "out", count), _start_of_tail(component, "err", count))
    return list(deque(_now(component, begin), maxlen=max(0, count)))


def _start_of_tail(component: Path, name: str, count: int) -> int:
    """Where the last `count` lines of a stream begin, looking at the last few MiB at most."""
    with _open(component, name) as file:
        at = size = file.seek(0, os.SEEK_END)
        missing = count + 1
        while at > 0 and size - at < _TAIL_BYTES:
            start = max(0, at - _BLOCK)
            file.seek(start)
            block = file.read(at - start)
            if at == size and not block.endswith(b"\n"):
                missing -= 1
            ends = block.count(b"\n")
            if ends >= missing:
                at = len(block)
                for _ in range(missing):
                    at = block.rfind(b"\n", 0, at)
                return start + at + 1
            missing -= ends
            at = start
        return at


def grep(component: Path, pattern: re.Pattern[str]) -> Iterator[Line]:
    """The lines that match `pattern` somewhere. Raises NotFound."""
    return (line for line in read(component) if pattern.search(line.text))
