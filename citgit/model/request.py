"""The body of a request: what to build at which revisions, who or what asked, and the builds it promises."""

from __future__ import annotations

from enum import Enum

from citgit.model.job import Job, Value
from citgit.model.part import Part

HIDDEN_COMMIT = "0" * 40
"""Stands in a private request where others have a commit."""


class CauseKind(Enum):
    """What asked for a build."""

    PERSON = "person"
    TRIGGER = "trigger"
    PROMISE = "promise"


class Config(Part, frozen=True, kw_only=True):
    """Where a job's definition was read: `repo` is "self" or a URL; `commit` pins it; `branch` is judged."""

    repo: str = "self"
    branch: str
    commit: str
    path: str = "cit.toml"


class PinnedSource(Part, frozen=True, kw_only=True):
    """A source at a commit (or `TIP`), checked out `at` a path below the workspace; `url` is empty for "self"."""

    repo: str = "self"
    url: str = ""
    ref: str
    commit: str
    at: str = "."


TIP = "f" * 40
"""In a request that runs as an alias: the commit at the ref's tip when the build starts, which its asker cannot see."""


class Cause(Part, frozen=True, kw_only=True):
    """Why a build was asked for.

    A trigger's: its `principal`, `time` (ms, of the id), `tick` (cron), `generation` and the full `digest`;
    `pushed_by` is advisory. A promise's: the promising build, its record's oid and the index.
    """

    kind: CauseKind = CauseKind.PERSON
    principal: str = ""
    time: int = 0
    tick: int = 0
    generation: int = 0
    digest: str = ""
    pushed_by: str = ""
    build: str = ""
    index: int = 0
    message: str = ""


class Probed(Part, frozen=True, kw_only=True):
    """What an agent's node answered when the requester asked it: `lacks` is why it cannot, `free` its free slots.

    `away` is why there was no answer; `ms` how long it took.
    """

    agent: str
    lacks: tuple[str, ...] = ()
    free: int = 0
    away: str = ""
    ms: int = 0


class Request(Part, frozen=True, kw_only=True):
    """Asks for one build: the resolved job at pinned revisions; `upstream` maps an after-job to its build id."""

    job: str
    branch: str
    config: Config
    definition: Job
    sources: tuple[PinnedSource, ...]
    cause: Cause
    max_attempts: int = 1
    cell: dict[str, str] = {}
    parameters: dict[str, Value] = {}
    upstream: dict[str, str] = {}
    on: str = ""
    prefer: str = ""
    probed: tuple[Probed, ...] = ()
    priority: int = 0
    readers: tuple[str, ...] = ()
    retry_of: str = ""
    private: str = ""
    promises: tuple[Promise, ...] = ()

    @property
    def commit(self) -> str:
        """The commit of the first source; "" where it is hidden, or not known yet."""
        found = self.sources[0].commit if self.sources else ""
        return "" if found in (HIDDEN_COMMIT, TIP) else found

    def at(self, digits: int) -> str:
        """Words after a job and a branch: the first source's commit, or why it is not said."""
        hidden = "private" if self.private else "at the tip when it starts"
        return f" at {self.commit[:digits]}" if self.commit else f", {hidden}"


class Promise(Part, frozen=True, kw_only=True):
    """A full request that the promising record lets anyone create at `builds/<pool>/<id>`."""

    id: str
    pool: str
    request: Request
