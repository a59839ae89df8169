"""What a judgement needs to know beyond the chain itself; answered by whoever reads the repository."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from citgit.model.record import Outcome, Promise


class Origin(Struct, frozen=True):
    """Who asked for a build, through however many promises."""

    owner: str
    principal: str


class Promised(Struct, frozen=True):
    """A promise of a valid record, and who asked for the promising build."""

    promise: Promise
    origin: Origin


class Other(Struct, frozen=True):
    """Another build, as far as it matters here."""

    pool: str
    job: str
    branch: str
    final: str = ""
    outcome: Outcome | None = None


class Facts(Protocol):
    """Look-ups in the same repository; each raises NotYet if the repository as fetched cannot tell."""

    def promised(self, build: str, index: int) -> Promised | None:
        """The promise that a build's valid records hold at `index`; None if there is none."""

    def other(self, build: str) -> Other | None:
        """Another build, active or archived; None if there is none."""

    def sealed(self, policy: str, build: str) -> str:
        """The tip under which the archives sealed by that policy hold the build; "" if they do not."""


class NoFacts:
    """For chains that refer to nothing else."""

    def promised(self, build: str, index: int) -> Promised | None:
        """None: nothing is promised."""
        return None

    def other(self, build: str) -> Other | None:
        """None: there is no other build."""
        return None

    def sealed(self, policy: str, build: str) -> str:
        """ "": nothing is archived."""
        return ""
