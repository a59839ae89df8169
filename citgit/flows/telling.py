"""What a worker tells people and programs of what happens, its own errors among it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from citgit.errors import CitError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for people and `--json`: what, to which build, in words."""

    kind: str
    build: str
    text: str


_LASTING = frozenset({"alarm", "away", "doubt"})


@dataclass(slots=True)
class Once:
    """What lasts is told once, and again when it changed: each turn finds the same doubts and alarms anew."""

    before: set[Event] = field(default_factory=set)
    now: set[Event] = field(default_factory=set)

    def turn(self) -> None:
        """The next turn begins: what the last one did not find any more is news when it comes back."""
        self.before, self.now = self.now, set()

    def pass_on(self, event: Event, tell: Callable[[Event], None]) -> None:
        """Tells it, unless it lasts and was told."""
        known = event.kind in _LASTING and (event in self.before or event in self.now)
        self.now.add(event)
        if not known:
            tell(event)


def guarded(tell: Callable[[Event], None], step: str, act: Callable[[], T], build: str = "") -> T | None:
    """Does one step; an error of it is told and does not keep the others from their turn."""
    try:
        return act()
    except CitError as error:
        tell(Event("error", build, f"{step}: {error.message}"))
    except OSError as error:
        # a full disk, no descriptor left: whichever file it was, the builds that run are not to suffer
        tell(Event("error", build, f"{step}: {error}"))
    return None
