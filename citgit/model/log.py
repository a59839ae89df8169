"""The log of an attempt as its readers see it: components with their states, and what their index knows."""

from __future__ import annotations

import msgspec

from citgit.model.result import Exit

STREAMS = ("out", "err")


class LogNode(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A component: its path below the root ("" is the root itself), times in unix ms (`ended` 0 while it runs).

    `out`, `err` and `times` are the bytes of its files, unpacked. A section is a part that its output marks off:
    bytes `begin` to `end` of `stream` of the component `within`.
    """

    path: str = ""
    started: int = 0
    ended: int = 0
    exit: Exit = Exit()
    truncated: bool = False
    cpu_ms: int = 0
    out: int = 0
    err: int = 0
    times: int = 0
    within: str = ""
    stream: str = ""
    begin: int = 0
    end: int = 0

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

    stream: str
    at: int
    number: int
    rank: int
    file: str = ""
    line: int = 0
    message: str = ""


class LogIndex(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a finished component: line ends in each `block` bytes of a stream, failing lines."""

    version: int = 1
    block: int
    out: tuple[int, ...] = ()
    err: tuple[int, ...] = ()
    failing: tuple[Failing, ...] = ()
