"""What people are told of a build: the document that a `cit-notify-NAME` program reads, and who wants which."""

from __future__ import annotations

from enum import Enum

import msgspec

from citgit.model.record import FirstError, Tests


class On(Enum):
    """What happened: a build ended; one failed after one that passed, or as the first; one passed after one failed."""

    FINISHED = "finished"
    RED = "newly-red"
    GREEN = "newly-green"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to be told of what: `run` is the NAME of cit-notify-NAME, `settings` are handed to it as they are.

    `jobs` and `branches` are globs; `owners` are people who asked, "me" for oneself, "*" for everybody.
    """

    name: str
    run: str
    on: tuple[On, ...] = (On.RED, On.GREEN)
    jobs: tuple[str, ...] = ("*",)
    branches: tuple[str, ...] = ("*",)
    owners: tuple[str, ...] = ("*",)
    settings: dict[str, str] = {}


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """notify.toml as a whole."""

    notify: tuple[Rule, ...] = ()


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """The build of the same job, branch and cell that passed or failed before."""

    build: str
    outcome: str
    commit: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell. `id` is the same whenever it is told again; times in unix seconds, `wall_ms` in ms.

    Of a private build what its readers alone may see is left out. `checkout` is where `cit notify` looked from.
    """

    id: str
    event: On
    build: str
    job: str
    branch: str
    outcome: str
    version: int = 1
    cell: dict[str, str] = {}
    commit: str = ""
    pool: str = ""
    owner: str = ""
    agent: str = ""
    reason: str = ""
    requested: int = 0
    ended: int = 0
    wall_ms: int = 0
    first_error: FirstError | None = None
    tests: Tests | None = None
    before: Before | None = None
    checkout: str = ""
    settings: dict[str, str] = {}


def schema() -> dict[str, object]:
    """The JSON Schema of a notice."""
    made = msgspec.json.schema(Notice)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "what cit-notify-NAME reads on stdin: one notice",
        **made,
    }
