"""That an attempt runs, and where, is said once it has run for a moment: the result of a shorter one tells both."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

from citgit.interfaces import Oid

_AFTER = 0.2


@dataclass(slots=True)
class Unsaid:
    """The attempts whose chains do not say yet that they run; times in monotonic seconds."""

    waiting: dict[Oid, tuple[float, str]] = field(default_factory=dict)

    def note(self, claim: Oid, where: str, now: float) -> None:
        """An attempt was started."""
        self.waiting[claim] = now + _AFTER, where

    def where(self, claim: Oid) -> str:
        """Where an attempt runs, if that was not said yet."""
        return self.waiting[claim][1] if claim in self.waiting else ""

    def due(self, now: float, running: Container[Oid], ended: Container[Oid]) -> list[tuple[Oid, str]]:
        """Those of which it is to be said now; they are not told again."""
        self.waiting = {claim: one for claim, one in self.waiting.items() if claim in running and claim not in ended}
        found = [(claim, where) for claim, (when, where) in self.waiting.items() if when <= now]
        for claim, _ in found:
            del self.waiting[claim]
        return found

    def patience(self, now: float) -> float:
        """Seconds until there is one."""
        return max(0.0, min((when for when, _ in self.waiting.values()), default=float("inf")) - now)
