"""Keys whose effect this version does not have yet: refused where they are used, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from citgit.model.job import Job


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key of a job (`table.key`) and how a job is seen to use it."""

    table: str
    key: str
    used: Callable[[Job], bool]
    only: str = ""


NOT_YET: tuple[NotYet, ...] = (
    NotYet("requires", "image", lambda job: job.requires.image != ""),
    NotYet("trigger", "cron", lambda job: job.trigger.cron != ""),
    NotYet("keep", "escrow", lambda job: job.keep.escrow),
)
"""The one table; a line leaves it together with the change that brings the effect."""


def unsupported(job: Job) -> list[str]:
    """What `job` asks for that this version cannot do, one line per key; empty if all of it can be done."""
    return [f"{entry.table}.{entry.key}: {words(entry)}" for entry in NOT_YET if entry.used(job)]


def words(entry: NotYet) -> str:
    """What is said about a key that is used too early."""
    return "not supported yet by this version" + (f", {entry.only}" if entry.only else "; leave it out")
