"""What a report is made of: builds, agents, logs, as whoever renders them hands them over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from citgit.model.build import Build


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """A component of a log: path ("" is the root), start and end in unix ms (0: unknown, not over), exit status, lines.

    Lines are (ms since the start, stream, text); `cut` if there are more before them; `word` is its outcome or state.
    """

    path: str
    word: str
    started: int = 0
    ms: int = 0
    status: int | None = None
    signal: str = ""
    lines: Sequence[tuple[int, str, str]] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """An agent as its page shows it; `heard` in unix seconds, 0 if it never was; `short` says what it is short of."""

    name: str
    pools: Sequence[str]
    labels: Sequence[str]
    slots: int
    busy: int
    heard: int = 0
    host: str = ""
    drain: bool = False
    cpu: int = 0
    memory: int = 0
    short: str = ""
    executors: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that a report is made of. `tips` are all builds, newest first; `load` reads and judges one.

    A tip is "" for an archived build: whatever was read of it once it was final is true for ever. `origin` is where
    the source comes from, `live` whether a server stands behind the pages.
    """

    name: str
    root: str
    policy: str
    policy_version: int
    tips: Mapping[str, str]
    load: Callable[[str], Build]
    agents: Sequence[AgentRow] = ()
    alarms: Sequence[str] = ()
    now: int = 0
    origin: str = ""
    live: bool = False
    log: Callable[[Build], Sequence[LogPart]] = lambda build: ()
    differences: Callable[[Build, Build], Mapping[str, tuple[object, object]]] = lambda old, new: {}


@dataclass(slots=True)
class Rendered:
    """How many pages of builds and jobs were written, and how many builds the report shows."""

    builds: int = 0
    jobs: int = 0
    shown: int = 0
