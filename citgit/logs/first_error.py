"""Finds the first error in a log: what compilers, make, test runners and interpreters say when they fail."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from citgit.errors import NotFound
from citgit.interfaces import LogSource
from citgit.logs.clean import visible
from citgit.logs.matchers import RANKS, Matchers
from citgit.logs.read import Line, failing, read, tail
from citgit.logs.tree import failures
from citgit.model.log import LogNode
from citgit.model.record import FirstError

_BEFORE, _AFTER = 3, 6
_LOOK_AHEAD = 40
_MAX_BYTES = 8 * 1024 * 1024
_TAIL_LINES = 2000
_MAX_TEXT = 500
_MOST_PARTS = 50

_FRAME = re.compile(r'\s+File "(?P<file>[^"]+)", line (?P<line>\d+)')
_LATER_PLACES = (
    re.compile(r"(?P<file>[^\s:]+\.py):(?P<line>\d+): \S"),
    re.compile(r"\s*--> (?P<file>[^\s:]+):(?P<line>\d+)"),
    re.compile(r">>> referenced by (?P<file>[^\s:]+):(?P<line>\d+)"),
    re.compile(r"\s+at .*?\(?(?:file://)?(?P<file>[^\s():]+\.[cm]?[jt]s):(?P<line>\d+):\d+\)?"),
)


@dataclass(slots=True)
class _Find:
    """The best so far: its rank (0 is a cause), what was seen of it, and the lines around it."""

    rank: int
    file: str
    line: int
    message: str
    context: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)


def first_error(source: LogSource, matchers: Matchers) -> FirstError | None:
    """The first error in a log: in failed parts first; None if nothing looks like one.

    A cause in any of them counts more than what only says that something failed.
    """
    best: tuple[int, FirstError] | None = None
    try:
        nodes = source.nodes()
    except (NotFound, OSError):
        return None
    first = failures(nodes)[:_MOST_PARTS]
    for node in [*first, *(node for node in nodes[:_MOST_PARTS] if node not in first)]:
        try:
            found = _in_component(source, node, matchers)
        except (NotFound, OSError):
            continue  # this one is damaged, or gone: the others are not
        if found and (best is None or found[0] < best[0]):
            best = found
        if best and best[0] == 0:
            break
    return best[1] if best else None


def _in_component(source: LogSource, node: LogNode, matchers: Matchers) -> tuple[int, FirstError] | None:
    path = node.path
    # what is known of a part that output marks off is in the index of the component whose output it is
    index = None if node.stream else source.index(path)
    if index is None:
        found = search(_bounded(read(source, path)), matchers)
        if found is None or found.rank > 0:
            # The beginning says little: what a tool says last may say more.
            late = search(tail(source, path, _TAIL_LINES), matchers)
            if late and (found is None or late.rank < found.rank):
                found = late
    else:
        # all of it was looked at when it was packed
        best = min(index.failing, key=lambda one: one.rank, default=None)
        found = search(failing(source, path, best, _BEFORE, _LOOK_AHEAD), matchers) if best else None
    if found is None:
        return None
    error = FirstError(
        component=path,
        file=found.file[:_MAX_TEXT],
        line=found.line,
        message=found.message[:_MAX_TEXT].strip(),
        context=(*found.context, *found.later[:_AFTER]),
    )
    return found.rank, error


def _bounded(lines: Iterable[Line]) -> Iterable[Line]:
    seen = 0
    for line in lines:
        seen += len(line.text) + line.cut + 1
        if seen > _MAX_BYTES:
            return
        yield line


def search(lines: Iterable[Line], matchers: Matchers) -> _Find | None:
    """The first line of the best rank, with its surroundings."""
    best: _Find | None = None
    before: deque[str] = deque(maxlen=_BEFORE)
    frames: list[str] | None = None
    for line in lines:
        text = line.text[:4096]
        looks_on = frames is not None or (best is not None and len(best.later) < _LOOK_AHEAD)
        if not looks_on and not matchers.hint.search(text):
            # nearly every line: it is made visible only if it turns out to be what came before an error
            before.append(text[:_MAX_TEXT])
            continue
        text = visible(text, colour=False)
        if best is not None and len(best.later) < _LOOK_AHEAD:
            best.later.append(text[:_MAX_TEXT])
        if best is not None and best.rank == 0:
            if len(best.later) >= _LOOK_AHEAD:
                break
        elif text.startswith("Traceback (most recent call last)"):
            frames = [text]
        elif frames is not None:
            frames.append(text)
            if text and not text[0].isspace():
                best, frames = _traceback(frames), None
        elif matchers.hint.search(text) and (found := matchers.match(text, best.rank if best else len(RANKS))):
            context = [*(visible(one, colour=False) for one in before), text[:_MAX_TEXT]]
            best = _Find(*found, context)
        before.append(text[:_MAX_TEXT])
    if best is not None and not best.line:
        _place(best)
    return best


def _traceback(frames: list[str]) -> _Find:
    file, line = "", 0
    for text in frames:
        if found := _FRAME.match(text):
            file, line = found["file"], int(found["line"][:9])
    context = [text[:_MAX_TEXT] for text in frames[-_BEFORE - 1 :]]
    return _Find(0, file, line, frames[-1], context)


def _place(best: _Find) -> None:
    """Test runners and rustc name the place after the message."""
    for text in best.later:
        for pattern in _LATER_PLACES:
            if found := pattern.match(text):
                best.file, best.line = found["file"], int(found["line"][:9])
                return
