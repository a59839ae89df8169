"""A notice in words, the same for every way in which people are told."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from citgit.errors import UsageError
from citgit.model.notice import Notice, On
from citgit.programs.wording import error_line, plain, span


def read_notice(data: bytes) -> Notice:
    """The notice in these bytes. Raises UsageError."""
    try:
        return msgspec.json.decode(data, type=Notice)
    except msgspec.MsgspecError as error:
        raise UsageError(f"not a notice: {error}", hint="'cit notify' starts this program") from None


def subject(notice: Notice) -> str:
    """What happened, on one line."""
    said = {On.RED: "newly red: ", On.GREEN: "green again: "}.get(notice.event, "")
    cell = "".join(f" {plain(key)}={plain(value)}" for key, value in sorted(notice.cell.items()))
    return f"{said}{plain(notice.job)}@{plain(notice.branch)}{cell} {notice.outcome}"[:300]


def mark(notice: Notice) -> str:
    """One character for the outcome."""
    return {"passed": "✓", "reused": "✓", "failed": "✗"}.get(notice.outcome, "·")


def body(notice: Notice) -> str:
    """Everything that is worth telling, a line each."""
    return "\n".join(_lines(notice)) + "\n"


def _lines(notice: Notice) -> Iterator[str]:
    took = f" after {span(notice.wall_ms / 1000)}" if notice.wall_ms else ""
    yield subject(notice)
    yield f"{notice.outcome}{took}" + (f": {plain(notice.reason)}" if notice.reason else "")
    if notice.first_error:
        yield f"first error: {plain(error_line(notice.first_error))}"
        yield from (f"    {plain(line)}" for line in notice.first_error.context)
    if notice.tests:
        yield f"tests: {notice.tests.total}, {notice.tests.failed} failed, {notice.tests.skipped} skipped"
        yield from (f"    {plain(name)}" for name in notice.tests.failures)
    if notice.before:
        yield f"before: {notice.before.outcome}, {notice.before.commit[:12]}, build {notice.before.build}"
    yield f"commit {notice.commit}, asked by {plain(notice.owner)}, built by {plain(notice.agent)}"
    yield f"more: cit show {notice.build}"
