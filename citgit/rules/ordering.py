"""The order of a queue: priority, then round-robin by owner, then first seen here, then id (PROTOCOL §6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from citgit.model.build import Build


def in_order(waiting: Iterable[Build], first_seen: Mapping[str, float], running: Mapping[str, int]) -> list[Build]:
    """The waiting builds in the order in which an agent should take them.

    `first_seen` are seconds on this observer's own clock by build id, `running` counts builds by owner.
    """
    turns: Counter[str] = Counter(running)
    keyed = []
    for build in sorted(waiting, key=lambda one: (-one.priority, first_seen.get(one.id, 0.0), one.id)):
        who = build.owner or build.principal
        keyed.append(((-build.priority, turns[who], first_seen.get(build.id, 0.0), build.id), build))
        turns[who] += 1
    return [build for _, build in sorted(keyed, key=lambda pair: pair[0])]
