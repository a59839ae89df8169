"""How builds are put into words and into JSON: the same in every verb that shows them."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from typing import Any

import click
import msgspec

from citgit.flows.control import outcome_text
from citgit.model.build import Build, Entry
from citgit.model.record import Claim, FirstError, Outcome
from citgit.programs.find import title
from citgit.wiring.text import visible

_COLOURS = {
    "passed": "green", "reused": "green", "failed": "red", "errored": "magenta", "timed_out": "magenta",
    "errored (revoked)": "magenta", "broken": "magenta", "running": "cyan", "stopping": "yellow",
    "waiting": "yellow", "paused": "yellow",
}  # fmt: skip


STATUS = {
    Outcome.PASSED: 0, Outcome.REUSED: 0, Outcome.FAILED: 1, Outcome.ERRORED: 4, Outcome.TIMED_OUT: 4,
    Outcome.CANCELLED: 5, Outcome.SUPERSEDED: 5, Outcome.SKIPPED: 5, Outcome.MOVED: 5,
}  # fmt: skip


def status_of(build: Build) -> int:
    """The exit status that a build means; 75 while it is not final."""
    return STATUS[build.outcome] if build.outcome else 75


def emit(document: dict[str, Any]) -> None:
    """Prints one JSON document on a line of its own."""
    click.echo(json_line(document))


def json_line(document: dict[str, Any]) -> str:
    """One JSON document on a line."""
    return json.dumps({"version": 1, **document}, sort_keys=False)


def answering(act: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """Gives a verb that does something `--json`: what it returns is then printed, its words go to stderr."""

    @click.option("--json", "as_json", is_flag=True, help="print JSON when all is done; words for people go to stderr")
    @functools.wraps(act)
    def verb(*arguments: Any, as_json: bool, **options: Any) -> None:
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            answer = act(*arguments, **options)
        if as_json:
            emit(answer)

    return verb


def many(count: int, what: str) -> str:
    """So many of something: "1 record", "2 records"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def plain(text: object) -> str:
    """Text from a record on one line, safe for a terminal."""
    return visible(str(text), colour=False)


def word(build: Build) -> str:
    """The build's outcome or state; "broken" and "unsupported" where its chain cannot be followed."""
    if build.broken:
        return "broken"
    return "unsupported" if build.unsupported else outcome_text(build)


def colour_of(text: str) -> str:
    """The colour of a state or an outcome; "" for none."""
    return _COLOURS.get(text, "")


def coloured(text: str, width: int = 0) -> str:
    """A state or an outcome, in its colour; click takes colours away where there is no terminal."""
    return click.style(text.ljust(width), fg=_COLOURS.get(text))


def span(seconds: float) -> str:
    """A time span as people say it: its one or two greatest units."""
    whole = max(0, int(seconds))
    if whole < 10 and seconds != whole:
        return f"{seconds:.1f} s"
    for unit, size, below, smaller in (("d", 86400, 3600, "h"), ("h", 3600, 60, "min"), ("min", 60, 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit} {rest} {smaller}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def error_line(error: FirstError) -> str:
    """The first error on one line: the part of the build, the place, what was said."""
    return ": ".join(part for part in (error_place(error), error.message) if part)


def error_place(error: FirstError) -> str:
    """The part of the build, and the file and line there; "" if nothing is known."""
    file = f"{error.file}:{error.line}" if error.line else error.file
    return ": ".join(part for part in (error.component, file) if part)


def last_claim(build: Build) -> Entry | None:
    """The last valid claim, also of a build that is over."""
    for entry in reversed(build.entries):
        if not entry.void and entry.link.record and isinstance(entry.link.record.body, Claim):
            return entry
    return None


def agent(build: Build) -> str:
    """Who holds or held the build, "" if nobody ever did."""
    claim = last_claim(build)
    return claim.link.record.head.actor if claim and claim.link.record else ""


def took(build: Build, now: int) -> float | None:
    """Seconds that the last attempt took, or has taken so far; None if nothing ever ran."""
    if build.result and build.result.usage.wall_ms:
        return build.result.usage.wall_ms / 1000
    claim = last_claim(build)
    if claim is None or claim.link.record is None:
        return None
    return (build.ended if build.is_final else now) - claim.link.record.head.time


def document(build: Build) -> dict[str, Any]:
    """A build in short, for programs."""
    request, result = build.request, build.result
    return {
        "build": build.id, "pool": build.pool, "job": request.job if request else "",
        "branch": request.branch if request else "", "cell": request.cell if request else {},
        "commit": request.commit if request else "", "state": build.state,
        "outcome": build.outcome.value if build.outcome else None, "owner": build.owner, "agent": agent(build),
        "requested": build.requested, "ended": build.ended or None,
        "wall_ms": result.usage.wall_ms if result else None, "reason": result.reason if result else "",
        "broken": build.broken, "unsupported": build.unsupported, "revoked": build.revoked,
    }  # fmt: skip


def builtins(value: object) -> Any:
    """A record's part as plain JSON values."""
    return msgspec.to_builtins(value)


def label(build: Build) -> str:
    """Which build this is, on one line."""
    return f"{build.id}  {plain(title(build))}"
