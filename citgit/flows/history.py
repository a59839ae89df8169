"""Searches the archives from their newest end, by what their commits say: no build is read but those that are shown.

The lines of an archive commit are hints. Whatever they lead to is judged from its own chain, and left out if it is
not what the line said.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from citgit.errors import BadRecord, NotFound
from citgit.flows.builds import Repository
from citgit.flows.folders import archive_commit
from citgit.interfaces import Oid
from citgit.model.build import Build
from citgit.model.names import Kind
from citgit.records.folded import SUBJECT, Folded, lines
from citgit.rules.ids import time_of

LOOK = 20_000
"""How many archived builds one search looks at: a tenth of a second."""


@dataclass(slots=True)
class Search:
    """One search and how far it got: `whole` is False once it gave up before the end of what is here."""

    repository: Repository
    left: int = LOOK
    whole: bool = True

    def newest(self, line: Callable[[Folded], bool], check: Callable[[Build], bool], count: int) -> list[Build]:
        """Up to `count` archived builds, newest first, whose line and then whose chain say yes."""
        found: dict[str, Build] = {}
        for pools in _by_month(self.repository):
            for pool, archive in pools:
                for build in self._matches(pool, archive, line, check, count):
                    found[build.id] = build
            if len(found) >= count or not self.whole:
                break
        return [found[build] for build in sorted(found, reverse=True)[:count]]

    def _matches(
        self, pool: str, archive: Oid, line: Callable[[Folded], bool], check: Callable[[Build], bool], count: int
    ) -> Iterator[Build]:
        """The newest matches of one archive, and what may still be newer than the last of them."""
        oldest: list[int] = []
        for commit in _commits(self.repository, archive):
            if len(oldest) >= count and commit.time * 1000 < oldest[count - 1]:
                # builds are folded when they end: what was folded before this one was asked for is older
                return
            if self.left <= 0:
                self.whole = False
                return
            self.left -= max(1, len(commit.lines))
            wanted = (one.build for one in commit.lines if not one.job or line(one))
            read = (self.repository.archived_build(pool, archive, build) for build in sorted(wanted, reverse=True))
            for build in itertools.islice((one for one in read if one is not None and check(one)), count):
                oldest = sorted([*oldest, time_of(build.id)], reverse=True)
                yield build


class _Commit(NamedTuple):
    time: int
    lines: list[Folded]


def _by_month(repository: Repository) -> Iterator[list[tuple[str, Oid]]]:
    """(pool, archive) of each month that is known here, newest month first."""
    months: dict[str, list[tuple[str, Oid]]] = {}
    for ref, tip in repository.snapshot.of(repository.state.refs, Kind.ARCHIVE).items():
        place = repository.state.refs.parse(ref)
        if place:
            months.setdefault(place.leaf, []).append((place.group, tip))
    yield from (months[month] for month in sorted(months, reverse=True))


def _commits(repository: Repository, archive: Oid) -> Iterator[_Commit]:
    """The commits of one archive, newest first; ends where history was left out or damaged."""
    oid: Oid | None = archive
    while oid is not None:
        try:
            commit = archive_commit(repository.state, oid)
        except (NotFound, BadRecord):
            return
        if not commit.message.startswith(SUBJECT):
            # the first one's first parent is a build's
            return
        yield _Commit(commit.time, lines(commit.message))
        oid = commit.parents[0] if commit.parents else None
