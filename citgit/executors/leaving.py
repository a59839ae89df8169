"""Leaving a place elsewhere: tried every two seconds until nothing of an attempt is there, given up after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from citgit.errors import CitError
from citgit.executors.local import GIVE_UP_S
from citgit.model.plan import Plan

_AGAIN_S = 2.0


@dataclass(slots=True)
class Leaving:
    """`act` leaves the place, or raises CitError; `failing` are the attempts that it failed for, by claim."""

    act: Callable[[Plan], None]
    failing: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __call__(self, plan: Plan) -> bool:
        """Whether the place is rid of the attempt; after a while without it is given up, and so is the attempt."""
        began = time.monotonic()
        since, last = self.failing.get(plan.claim, (began, began - _AGAIN_S))
        if began - last < _AGAIN_S:
            return began - since > GIVE_UP_S
        try:
            self.act(plan)
        except CitError:
            self.failing[plan.claim] = since, time.monotonic()
            return began - since > GIVE_UP_S
        self.failing.pop(plan.claim, None)
        return True
