"""Reads a component of a log as lines with times: in bounded memory, whatever was written into it, wherever it is."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from citgit.errors import NotFound
from citgit.interfaces import LogSource
from citgit.model.log import STREAMS, Failing, LogIndex, LogNode

LINE_BYTES = 64 * 1024
"""What is kept of one line; the rest is counted, not kept."""

_BLOCK = 256 * 1024
_TAIL_BYTES = 4 * 1024 * 1024
_MARK_BYTES = 80
_MARKS_BLOCK = 16 * 1024
_MOST_DIGITS = 15
"""Of a number in a mark: a build may write any, and a record takes none beyond 2^53."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end: ms after the start (when its last byte was seen), stream, text as UTF-8 as far as it
    is, and how many bytes were `cut` from its end; `late` if its beginning was not read."""

    time_ms: int
    stream: str
    text: str
    cut: int = 0
    late: bool = False


class _Marks:
    """The marks of one stream, read forward: when was the stream as long as `offset`?"""

    def __init__(self, source: LogSource, path: str, column: int) -> None:
        self._source, self._path, self._column = source, path, column
        self._at = 0
        self._buffer = b""
        self.ms = self.offset = 0

    def time(self, end: int) -> int:
        """The first mark at which the stream had `end` bytes; the last one if none has."""
        while self.offset < end and (line := self._line()):
            if mark := _parse(line):
                self.ms, self.offset = mark[0], mark[self._column]
        return self.ms

    def skip_to(self, end: int, size: int) -> None:
        """Goes near the mark for `end` without reading all those before it; `size` is that of the file."""
        low, high = 0, size
        while high - low > 4096:
            middle = (low + high) // 2
            lines = self._source.read(self._path, "times", middle, 3 * _MARK_BYTES).split(b"\n")[1:-1]
            mark = next(filter(None, (_parse(line + b"\n") for line in lines)), None)
            if mark and mark[self._column] < end:
                low = middle
            else:
                high = middle
        self._at, self._buffer = low, b""
        if low:
            self._line()

    def _line(self) -> bytes:
        """The next line with its end; empty if there is none yet."""
        while (at := self._buffer.find(b"\n")) < 0:
            more = self._source.read(self._path, "times", self._at + len(self._buffer), _MARKS_BLOCK)
            if not more or len(self._buffer) > _MARKS_BLOCK:
                return b""  # no marks: a line of them is short
            self._buffer += more
        line, self._buffer = self._buffer[: at + 1], self._buffer[at + 1 :]
        self._at += at + 1
        return line


def _parse(line: bytes) -> tuple[int, int, int] | None:
    words = line.split()
    if len(words) != 3 or len(line) > _MARK_BYTES or not line.endswith(b"\n"):
        return None
    if not all(word.isdigit() and len(word) <= _MOST_DIGITS for word in words):
        return None
    return int(words[0]), int(words[1]), int(words[2])


@dataclass(slots=True)
class _Stream:
    """One stream, read forward; `head` is the start of a line whose end has not come yet."""

    source: LogSource
    path: str
    name: str
    marks: _Marks
    at: int = 0
    late: bool = False
    head: bytearray = field(default_factory=bytearray)
    cut: int = 0
    open_line: bool = False
    counts: LogIndex | None = None
    asked: bool = False

    def lines(self, limit: int) -> Iterator[Line]:
        """The lines that end before byte `limit`; what follows the last of them is kept for the next call."""
        while self.at < limit:
            if len(self.head) >= LINE_BYTES:
                self._skip(limit)
            block = self.source.read(self.path, self.name, self.at, min(_BLOCK, limit - self.at))
            if not block:
                return
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

    def _skip(self, limit: int) -> None:
        """Passes over what is known to hold no line's end: of a very long line only the beginning is kept."""
        if not self.asked:
            self.asked, self.counts = True, self.source.index(self.path)
        if self.counts is None:
            return
        counts = self.counts.out if self.name == "out" else self.counts.err
        block = self.at // self.counts.block
        while block < len(counts) and not counts[block]:
            block += 1
        to = min(limit, block * self.counts.block)
        if to > self.at:
            self.cut += to - self.at
            self.at, self.open_line = to, True

    def _add(self, part: bytes) -> None:
        room = max(0, LINE_BYTES - len(self.head))
        self.head += part[:room]
        self.cut += max(0, len(part) - room)

    def _line(self, end: int) -> Line:
        line = Line(self.marks.time(end), self.name, self.head.decode(errors="replace"), self.cut, self.late)
        self.head.clear()
        self.cut, self.open_line, self.late = 0, False, False
        return line


def follow(source: LogSource, path: str, stopped: Callable[[], bool], sleep: Callable[[], None]) -> Iterator[Line]:
    """The lines of both streams of a component in the order of their marks, as they appear.

    Ends when the component has ended or `stopped` says so, after what is there then; calls `sleep` when there is
    nothing new. Raises NotFound.
    """
    for step in _steps(source, path, (0, 0), stopped):
        if step is None:
            sleep()
        else:
            yield step


def watch(source: LogSource, stopped: Callable[[], bool]) -> Iterator[tuple[str, Line] | None]:
    """As `follow`, of the whole tree: lines with the path of their component; None whenever there is nothing new."""
    known: dict[str, Iterator[Line | None]] = {}
    over: list[bool] = []  # not empty: what is there now is all
    while not over:
        if stopped() or source.look("").ended > 0:
            over.append(True)
        for node in source.nodes():
            if node.stream:
                continue  # its lines are those of the component that it is a section of
            if node.path not in known:
                known[node.path] = _steps(source, node.path, (0, 0), lambda: bool(over))
            try:
                for step in known[node.path]:
                    if step is None:
                        break
                    yield node.path, step
            except NotFound:
                if not node.path:
                    raise
                continue  # a part that left nothing is removed when it ends
        if not over:
            yield None


def read(source: LogSource, path: str) -> Iterator[Line]:
    """The lines of a component that are there now. Raises NotFound."""
    return _now(source, path, (0, 0))


def _now(source: LogSource, path: str, begin: tuple[int, int]) -> Iterator[Line]:
    return (step for step in _steps(source, path, begin, lambda: True) if step is not None)


def _steps(source: LogSource, path: str, begin: tuple[int, int], stopped: Callable[[], bool]) -> Iterator[Line | None]:
    """The lines from the given bytes on, and None whenever there is nothing new."""
    node = source.look(path)
    if node.stream:
        yield from _section(source, node)
        return
    streams = [
        _Stream(source, path, name, _Marks(source, path, column), at)
        for column, (name, at) in enumerate(zip(STREAMS, begin, strict=True), 1)
    ]
    for stream in streams:
        _start(stream, node.times)
    over = False
    while not over:
        over = stopped()
        node = source.look(path)
        over = over or node.ended > 0
        # While it runs, only up to the last mark: what has no time yet cannot be put in order.
        limits = [node.out, node.err] if over else _last_mark(source, node)
        yield from _merged([stream.lines(limit) for stream, limit in zip(streams, limits, strict=True)])
        if not over:
            yield None
    yield from _merged([stream.last() for stream in streams])


def _section(source: LogSource, node: LogNode) -> Iterator[Line]:
    """The lines of a part of one stream."""
    column = STREAMS.index(node.stream) + 1
    stream = _Stream(source, node.within, node.stream, _Marks(source, node.within, column), node.begin)
    _start(stream, source.look(node.within).times)
    yield from stream.lines(node.end)
    yield from stream.last()


def _start(stream: _Stream, times: int) -> None:
    if stream.at:
        stream.marks.skip_to(stream.at, times)
        stream.late = stream.source.read(stream.path, stream.name, stream.at - 1, 1) != b"\n"


def _merged(parts: list[Iterator[Line]]) -> Iterator[Line]:
    return heapq.merge(*parts, key=lambda line: line.time_ms)


def _last_mark(source: LogSource, node: LogNode) -> list[int]:
    end = source.read(node.path, "times", max(0, node.times - 4 * _MARK_BYTES), 4 * _MARK_BYTES)
    for line in reversed(end.splitlines(keepends=True)):
        # The first may be a half one, but then it is not the last.
        if mark := _parse(line):
            return [mark[1], mark[2]]
    return [0, 0]


def failing(source: LogSource, path: str, one: Failing, before: int, after: int) -> list[Line]:
    """A failing line that the index tells of, and as many lines around it. Raises NotFound."""
    node = source.look(path)
    size = node.out if one.stream == "out" else node.err
    at = max(0, one.at - _BLOCK)
    begins = _whole(source, path, one.stream, at, one.at - at).split(b"\n")
    # the last piece is empty: the failing line begins there; the first may be half a line
    kept = begins[0 if at == 0 else 1 : -1]
    kept = kept[max(0, len(kept) - before) :]
    begin = one.at - sum(len(line) + 1 for line in kept)
    stream = _Stream(source, path, one.stream, _Marks(source, path, STREAMS.index(one.stream) + 1), begin)
    _start(stream, node.times)
    return list(islice(chain(stream.lines(size), stream.last()), len(kept) + 1 + after))


def times(source: LogSource, path: str, name: str, offsets: list[int]) -> list[int]:
    """When, in ms after the start, a stream had grown to each of these bytes; `offsets` rise."""
    marks = _Marks(source, path, STREAMS.index(name) + 1)
    return [marks.time(at) for at in offsets]


def tail(source: LogSource, path: str, count: int) -> list[Line]:
    """The last `count` lines of a component's streams together, read from their ends; none if there is no log."""
    try:
        node = source.look(path)
        begin = (_start_of_tail(source, node, "out", count), _start_of_tail(source, node, "err", count))
        lines = _section(source, node) if node.stream else _now(source, path, begin)
        return list(deque(lines, maxlen=max(0, count)))
    except NotFound:
        return []


def _start_of_tail(source: LogSource, node: LogNode, name: str, count: int) -> int:
    """Where the last `count` lines of a stream begin, looking at the last few MiB at most."""
    size = node.out if name == "out" else node.err
    at, missing = size, count + 1
    while at > 0 and size - at < _TAIL_BYTES:
        start = max(0, at - _BLOCK)
        block = _whole(source, node.path, name, start, at - start)
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
    # without any end in so many bytes the last line is too long to show: then its end is what counts
    return size - LINE_BYTES if at and missing >= count else at


def _whole(source: LogSource, path: str, name: str, at: int, count: int) -> bytes:
    """Just these bytes: a source may give fewer at a time."""
    found = b""
    while len(found) < count and (more := source.read(path, name, at + len(found), count - len(found))):
        found += more
    return found
