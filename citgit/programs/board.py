"""The live view of `cit status -f` in a terminal: what runs and how far, what waits, the agents, what ended."""

from __future__ import annotations

import io
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from types import FrameType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from citgit.flows.builds import Repository
from citgit.model.build import Build
from citgit.programs.earlier import earlier, usual
from citgit.programs.find import short, title
from citgit.programs.why import Offer, offers
from citgit.programs.wording import agent, colour_of, plain, span, took, word
from citgit.wiring.clone import Clone

_POLL_S = 1.0
_DRAW_S = 0.2
_BAR = 20
_LOOK_BACK = 5
_MOST_NOTES = 3


@dataclass(slots=True)
class Board:
    """What is shown: builds by what they do, agents with their offers, notes to people, when it was found out."""

    name: str
    running: list[Build] = field(default_factory=list)
    waiting: list[Build] = field(default_factory=list)
    ended: list[Build] = field(default_factory=list)
    agents: list[tuple[str, bool, Offer | None, int]] = field(default_factory=list)
    usual: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    now: int = 0


Look = Callable[[], tuple[Repository, list[Build]]]


def watch(clone: Clone, look: Look, over: Callable[[list[Build]], bool]) -> list[Build]:
    """Shows the board until `over` says so of the builds that `look` finds, or Ctrl-C; the builds as they were last."""
    # an exported size would stay when the window changes
    console = Console(highlight=False, _environ={k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")})
    board = Board(clone.top.name)
    listed: list[Build] = []
    with _ends_clean(), Live(console=console, screen=True, auto_refresh=False, redirect_stderr=False) as live:
        asked = float("-inf")
        while True:
            now = clone.state.clock.monotonic()
            if now - asked >= _POLL_S:
                asked = now
                listed = _look(clone, board, look)
            board.now = clone.state.clock.now()
            live.update(draw(board, *console.size), refresh=True)
            if over(listed):
                return listed
            clone.state.clock.sleep(_DRAW_S)


@contextmanager
def _ends_clean() -> Iterator[None]:
    """Whatever ends the program, the terminal gets back its own screen first."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _look(clone: Clone, board: Board, look: Look) -> list[Build]:
    said = io.StringIO()
    with redirect_stderr(said):
        repository, listed = look()
    active = [build for build in repository.active() if not build.is_final]
    board.running = sorted((one for one in active if one.held), key=lambda one: one.id)
    board.waiting = sorted((one for one in active if not one.held), key=lambda one: one.id)
    board.ended = [build for build in listed if build.is_final]
    board.agents = list(_agents(clone, repository))
    for build in board.running:
        if build.request and build.id not in board.usual:
            board.usual[build.id] = usual(earlier(repository, build.request, build.id, _LOOK_BACK))
    if lines := said.getvalue().splitlines():
        board.notes = lines[:_MOST_NOTES]
    return listed


def _agents(clone: Clone, repository: Repository) -> Iterator[tuple[str, bool, Offer | None, int]]:
    """Name, whether it is drained, its offer, and how many builds it holds."""
    known = offers(clone, repository)
    held = Counter(build.held.actor for build in repository.active() if build.held and not build.is_final)
    for name, one in sorted(repository.snapshot.policies.tip.team.agent.items()):
        yield name, one.drain, known.get(name), held[f"agent:{name}"]


def draw(board: Board, width: int, height: int) -> Group:
    """The board as it fits into so many columns and lines: what runs first, of the rest as much as there is room."""
    room = height - 3
    parts: list[Text | Table] = [_head(board, width)]
    for name, rows in (
        ("running", [_running(one, board, width) for one in board.running]),
        ("waiting", [_row(one, board.now) for one in board.waiting]),
        ("agents", [_agent(one, board.now) for one in board.agents]),
        ("ended", [_row(one, board.now) for one in board.ended]),
        ("notes", [(Text(plain(note), style="yellow"),) for note in board.notes]),
    ):
        if not rows or room < 3:
            continue
        shown = rows[: room - 2]
        more = f"  and {len(rows) - len(shown)} more" if len(shown) < len(rows) else ""
        parts.append(Text(f"\n{name}{more}", style="bold"))
        parts.append(_table(shown))
        room -= len(shown) + 2
    return Group(*parts)


def _head(board: Board, width: int) -> Text:
    words = f"{plain(board.name)}: {len(board.running)} running, {len(board.waiting)} waiting"
    moment = time.strftime("%H:%M:%S", time.localtime(board.now))
    return Text(f"{words}{moment:>{max(9, width - len(words))}}", style="bold", no_wrap=True, overflow="ellipsis")


def _table(rows: Sequence[tuple[Text, ...]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for at in range(max(map(len, rows))):
        # what tells the rows apart stays whole when a window is narrow
        table.add_column(
            no_wrap=True, overflow="ellipsis", min_width=None if at > 2 else max(len(row[at]) for row in rows)
        )
    for row in rows:
        table.add_row(*row)
    return table


def _running(build: Build, board: Board, width: int) -> tuple[Text, ...]:
    seconds = took(build, board.now) or 0
    return (
        Text(short(build.id)), Text(title_of(build)), _word(build), Text(plain(holder(build))),
        bar(seconds, board.usual.get(build.id, 0) / 1000, _BAR if width >= 80 else 8),
    )  # fmt: skip


def bar(seconds: float, usual_s: float, width: int) -> Text:
    """How far a build is against the usual time, never full before its end; without one only the time."""
    if not usual_s:
        return Text(span(seconds))
    done = min(width - 1, int(width * seconds / usual_s))
    late = seconds > usual_s
    made = Text("━" * done, style="yellow" if late else "cyan")
    made.append("─" * (width - done), style="dim")
    return made.append(
        f"  {span(int(seconds))} of about {span(round(usual_s) or usual_s)}", style="yellow" if late else "none"
    )


def _row(build: Build, now: int) -> tuple[Text, ...]:
    ago = f"{span(now - (build.ended or build.requested))}{' ago' if build.is_final else ''}"
    ran = took(build, now)
    return (
        Text(short(build.id)), Text(title_of(build)), _word(build),
        Text(plain(holder(build)) if build.is_final else build.pool),
        Text(span(ran) if ran is not None else ""), Text(ago),
    )  # fmt: skip


def _agent(one: tuple[str, bool, Offer | None, int], now: int) -> tuple[Text, ...]:
    name, drained, offer, busy = one
    if offer is None:
        return Text(plain(name)), Text("never heard of", style="dim")
    slots = offer.advert.slots
    state = (
        Text("drained", style="yellow") if drained else Text(f"{busy} of {slots} busy", style="cyan" if busy else "")
    )
    return (
        Text(plain(name)),
        state,
        Text(plain(offer.short)),
        Text(f"heard of {span(now - offer.heard)} ago", style="dim"),
    )


def holder(build: Build) -> str:
    """Who builds or built it, without the kind of the actor."""
    return agent(build).partition(":")[2]


def title_of(build: Build) -> str:
    """JOB@BRANCH, fit for a terminal."""
    return plain(title(build))


def _word(build: Build) -> Text:
    said = word(build)
    return Text(said, style=colour_of(said))
