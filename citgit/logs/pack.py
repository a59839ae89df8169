"""Packs the log of a finished attempt: long streams become zstandard frames, and an index tells what is where in them.

Whoever reads meanwhile finds the stream or the packed one; a crash leaves both, and packing again mends it.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from citgit.errors import NotFound
from citgit.logs.capture import INDEX, open_regular
from citgit.logs.clean import visible
from citgit.logs.local import LocalLog
from citgit.logs.matchers import Matchers
from citgit.logs.packed import BLOCK, pack
from citgit.logs.tree import component
from citgit.model.log import STREAMS, Failing, LogIndex

LEAST = 64 * 1024
"""Bytes of a stream from which on it is packed: a short one costs no less on disk, and is easier to look at."""

_MOST_FAILING = 100
_MOST_TEXT = 500
_MOST_LINE = 4096
_PIECE = (3, 4, 5)


def is_due(root: Path) -> bool:
    """Whether a log has streams to pack, as far as a glance tells; its components are looked at only if it has any."""
    return any(_plain(place) for place in _places(root))


def pack_log(root: Path, matchers: Matchers) -> int:
    """Packs the streams of all components; the bytes that were freed. One at a time: whoever calls sees to that.

    A component that cannot be packed (a full disk, what the build planted there) stays readable as it is.
    """
    freed = 0
    for place in list(_places(root)):
        with contextlib.suppress(OSError):
            freed += _pack_component(place, matchers)
    return freed


def _places(root: Path) -> Iterator[Path]:
    source = LocalLog(root)
    with contextlib.suppress(NotFound):
        for node in source.nodes():
            if not node.stream:
                yield component(root, node.path)


def _plain(place: Path) -> list[str]:
    """The streams that are to be packed."""
    found = []
    for name in STREAMS:
        with contextlib.suppress(OSError):
            about = (place / name).lstat()
            if stat.S_ISREG(about.st_mode) and about.st_size >= LEAST:
                found.append(name)
    return found


def _pack_component(place: Path, matchers: Matchers) -> int:
    names = _plain(place)
    if not names:
        return 0
    looks = {name: _Look(name, matchers) for name in STREAMS}
    fresh = {name: place / f".{name}.zst.new" for name in names}
    freed = 0
    try:
        for name in STREAMS:
            with open(open_regular(place / name), "rb") as source:
                if name in names:
                    freed += _pack_stream(source, fresh[name], looks[name])
                else:
                    looks[name](source.read(LEAST))
        out, err = looks["out"], looks["err"]
        failing = [*out.found(), *err.found()]
        _write_index(place, LogIndex(block=BLOCK, out=tuple(out.counts), err=tuple(err.counts), failing=tuple(failing)))
        for name in names:
            fresh[name].replace(place / f"{name}.zst")
            (place / name).unlink(missing_ok=True)
        return freed
    finally:
        for path in fresh.values():
            path.unlink(missing_ok=True)


def _pack_stream(source: BinaryIO, to: Path, look: _Look) -> int:
    with _created(to) as target:
        whole = pack(source, target, look)
        target.flush()
        os.fsync(target.fileno())
        return whole - target.tell()


def _created(path: Path) -> BinaryIO:
    # a crash, or the build, may have left anything here: a file of ours is new, and no link is followed
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")


def _write_index(place: Path, index: LogIndex) -> None:
    scratch = place / f".{INDEX}.new"
    with _created(scratch) as file:
        file.write(msgspec.json.encode(index) + b"\n")
    scratch.replace(place / INDEX)


class _Look:
    """Counts line ends and finds failing lines in a stream that passes by, block after block."""

    def __init__(self, name: str, matchers: Matchers) -> None:
        self._name, self._matchers = name, matchers
        self._hint = re.compile(matchers.hint.pattern.encode())
        self._needles = _needles(hint.encode() for hint in matchers.hints)
        self._at = self._number = 0
        self._rest = b""
        self._ranks: list[list[Failing]] = [[] for _ in matchers.ranks]
        self.counts: list[int] = []

    def __call__(self, block: bytes) -> None:
        """Takes the next block."""
        text = self._rest + block
        begin = self._at - len(self._rest)
        end = text.rfind(b"\n") + 1
        self._search(text, end or (len(text) if len(text) > BLOCK else 0), begin)
        self.counts.append(block.count(b"\n"))
        self._at += len(block)
        # of a line that is longer than a block, only its beginning can tell anything
        self._rest = text[end:] if len(text) - end <= BLOCK else b""

    def found(self) -> list[Failing]:
        """The failing lines, those of the best rank first; call it once, at the end."""
        self._search(self._rest + b"\n", len(self._rest) + 1, self._at - len(self._rest))
        return [one for rank in self._ranks for one in rank]

    def _search(self, text: bytes, end: int, begin: int) -> None:
        """Looks at the lines of `text` up to `end`; it begins at byte `begin` of the stream."""
        counted = 0
        for start in self._starts(text, end) if len(self._ranks[0]) < _MOST_FAILING else ():
            line = text[start : min(text.find(b"\n", start, end) % (end + 1), start + _MOST_LINE)]
            if not self._hint.search(line):
                continue
            self._number += text.count(b"\n", counted, start)
            counted = start
            told = self._matchers.match(visible(line.decode(errors="replace"), colour=False), len(self._ranks))
            if told and len(self._ranks[told.rank]) < _MOST_FAILING:
                self._ranks[told.rank].append(
                    Failing(
                        stream=self._name, at=begin + start, number=self._number + 1, rank=told.rank,
                        file=told.file[:_MOST_TEXT], line=told.line, message=told.message[:_MOST_TEXT].strip(),
                    )
                )  # fmt: skip
        self._number += text.count(b"\n", counted, end)

    def _starts(self, text: bytes, end: int) -> list[int]:
        """Where lines begin that may hold a hint: looking for a few words is five times as fast as for a pattern."""
        low = text.lower()
        found = set()
        for needle in self._needles:
            at = 0
            while (at := low.find(needle, at, end)) >= 0:
                found.add(low.rfind(b"\n", 0, at) + 1)
                at = low.find(b"\n", at, end)
                if at < 0:
                    break
        return sorted(found)


def _needles(hints: Iterable[bytes]) -> list[bytes]:
    """A few short pieces of text, in lower case, such that every hint holds one of them."""
    missing = {hint.lower() for hint in hints}
    chosen = []
    while missing:
        pieces = Counter(
            piece
            for hint in missing
            for piece in {hint[at : at + size] for size in _PIECE for at in range(max(1, len(hint) - size + 1))}
        )
        best = max(pieces, key=lambda piece: (pieces[piece], len(piece), piece))
        chosen.append(best)
        missing = {hint for hint in missing if best not in hint}
    return chosen
