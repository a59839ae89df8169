"""A judgement that is kept: the build, and each question beyond its chain with the answer that it rests on."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from citgit.interfaces import Oid
from citgit.model.build import Build
from citgit.model.names import Place
from citgit.rules.facts import Facts, Other, Promised


class Library(Facts, Protocol):
    """All that a judgement may depend on beyond the chain and the policies."""

    def was_archived(self, place: Place, tip: Oid) -> bool:
        """Whether the archive holds the build under this tip, or has held it so."""


class Judged(NamedTuple):
    """A judgement with what was asked for it, in that order; as long as the answers are the same, so is the build."""

    build: Build
    asked: tuple[tuple[str, tuple[object, ...], object], ...]

    def holds(self, library: Library) -> bool:
        """Whether all questions would be answered as they were. Raises NotYet as asking them does."""
        return all(getattr(library, name)(*about) == answer for name, about, answer in self.asked)


class Asking:
    """The library, noting what is asked and what it answers."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.asked: list[tuple[str, tuple[object, ...], object]] = []

    def promised(self, build: str, index: int) -> Promised | None:
        """As the library."""
        found = self._library.promised(build, index)
        self.asked.append(("promised", (build, index), found))
        return found

    def other(self, build: str) -> Other | None:
        """As the library."""
        found = self._library.other(build)
        self.asked.append(("other", (build,), found))
        return found

    def sealed(self, policy: str, build: str) -> str:
        """As the library."""
        found = self._library.sealed(policy, build)
        self.asked.append(("sealed", (policy, build), found))
        return found

    def was_archived(self, place: Place, tip: Oid) -> bool:
        """As the library."""
        found = self._library.was_archived(place, tip)
        self.asked.append(("was_archived", (place, tip), found))
        return found
