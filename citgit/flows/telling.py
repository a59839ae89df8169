"""What a worker tells people and programs of what happens, its own errors among it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from citgit.errors import CitError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for people and `--json`: what, to which build, in words."""

    kind: str
    build: str
    text: str


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
