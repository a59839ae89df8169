"""The log of an attempt as its readers see it: components with their states, and what their index knows."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from citgit.model.result import Exit

STREAMS = ("out", "err")

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""Bytes, a moment or a duration in ms: a build may write any number into its log, and a record takes no larger one."""

_Stream = Annotated[str, Meta(pattern="^(out|err)$")]
_Lines = tuple[Annotated[int, Meta(ge=0, le=2**26)], ...]
_TEXT = 1000
_STATUS = 2**31
_SIGNAL = 32


def refuse_exit(exit: Exit) -> None:
    """Raises ValueError if no command can have ended so: what a component says of itself comes from the build."""
    if (exit.status is not None and abs(exit.status) > _STATUS) or not _is_word(exit.signal):
        raise ValueError("not an exit status or the name of a signal")


def _is_word(text: str) -> bool:
    return len(text) <= _SIGNAL and text.isprintable()


class LogNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A component: its path below the root ("" is the root itself), times in unix ms (`ended` 0 while it runs).

    `out`, `err` and `times` are the bytes of its files, unpacked. A section is a part that its output marks off:
    bytes `begin` to `end` of `stream` of the component `within`.
    """

    path: str = ""
    started: Count = 0
    ended: Count = 0
    exit: Exit = Exit()
    truncated: bool = False
    cpu_ms: Count = 0
    out: Count = 0
    err: Count = 0
    times: Count = 0
    within: str = ""
    stream: Annotated[str, Meta(pattern="^(out|err|)$")] = ""
    begin: Count = 0
    end: Count = 0

    def __post_init__(self) -> None:
        refuse_exit(self.exit)

    @property
    def failed(self) -> bool:
        """Whether it ended with another status than 0, or by a signal."""
        return self.exit.status not in (None, 0) or bool(self.exit.signal)

    @property
    def ms(self) -> int:
        """How long it took; 0 while it runs."""
        return max(0, self.ended - self.started) if self.ended else 0


class Failing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line that says what failed: where it begins in which stream, its number from 1, what it tells."""

    stream: _Stream
    at: Count
    number: Count
    rank: Annotated[int, Meta(ge=0, le=9)]
    file: Annotated[str, Meta(max_length=_TEXT)] = ""
    line: Count = 0
    message: Annotated[str, Meta(max_length=_TEXT)] = ""


class LogIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a finished component: line ends in each `block` bytes of a stream, failing lines."""

    version: int = 1
    block: Annotated[int, Meta(ge=2**12, le=2**26)]
    out: _Lines = ()
    err: _Lines = ()
    failing: Annotated[tuple[Failing, ...], Meta(max_length=1000)] = ()
