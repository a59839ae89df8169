"""When final builds are worth folding: each fold writes the tree of a whole day anew, so it grows with the day."""

from __future__ import annotations

MOST_PARENTS = 500
"""Builds that one archive commit adds at most."""

_SHARE = 64
_PER_SECOND = 50


def is_due(ready: int, held: int, waited: int) -> bool:
    """Whether to fold `ready` builds into days that hold `held`; the oldest has `waited` seconds since it ended.

    In a day of few builds, at once. Else when they are enough to be worth it, or have waited as long as such a day
    allows: 20 s at a thousand builds, 11 minutes at 33,000 (a million a month). A clock that is wrong makes it
    sooner, never later.
    """
    enough = min(MOST_PARENTS, held // _SHARE)
    return ready >= enough or not 0 <= waited < held // _PER_SECOND
