"""When final builds are worth folding: each fold writes the tree of a whole day anew, so it grows with the day."""

from __future__ import annotations

from citgit.model.build import Build
from citgit.model.policy import PolicyChain
from citgit.model.record import Claim, Result

MOST_PARENTS = 500
"""Builds that one archive commit adds at most."""

_SHARE = 64
_PER_SECOND = 50


def is_disputed(build: Build, entry: Build, chain: PolicyChain) -> bool:
    """Whether a build at its ref has another end than the archive's entry for it, and only a lie explains that.

    A late copy of an old push may bring an archived build's ref back, and what was under way to it (somebody's cancel,
    the result of an earlier attempt) then ends it there once more: the entry wins. But nobody starts a claim of a build
    that is archived, so a result of a claim that the entry lacks proves that whoever signed one of the two lied. Only
    after a restore such a one may have come about, and the entry is given back (its records then cite policies of an
    older generation): it wins too.
    """
    if not build.is_final or not entry.is_final or build.final == entry.final:
        return False
    end = next((one.link.record for one in build.entries if one.link.oid == build.final), None)
    claims = {one.link.oid for one in entry.entries if not one.void}
    if end is None or not isinstance(end.body, Result) or end.body.claim in claims:
        return False
    return not _is_older(entry, chain)


def is_outdone(seen: Build, entry: Build, chain: PolicyChain) -> bool:
    """Whether what was seen of a build may be forgotten for the end that the archive has of it.

    As for `is_disputed`; but what was seen need not have ended: that the archive never heard of a claim is enough to
    wonder, for its holder may be at work.
    """
    claims = {one.link.oid for one in entry.entries if not one.void}
    unheard = [
        one for one in seen.entries
        if one.link.record and isinstance(one.link.record.body, Claim) and not one.void and one.link.oid not in claims
    ]  # fmt: skip
    return not unheard or _is_older(entry, chain)


def _is_older(entry: Build, chain: PolicyChain) -> bool:
    """Whether an entry was written before the last restore."""
    cited = [at for policy in entry.policies if (at := chain.index(policy)) is not None]
    return not cited or chain.policies[max(cited)].generation != chain.tip.generation


def is_due(ready: int, held: int, waited: int) -> bool:
    """Whether to fold `ready` builds into days that hold `held`; the oldest has `waited` seconds since it ended.

    In a day of few builds, at once. Else when they are enough to be worth it, or have waited as long as such a day
    allows: 20 s at a thousand builds, 11 minutes at 33,000 (a million a month). A clock that is wrong makes it
    sooner, never later.
    """
    enough = min(MOST_PARENTS, held // _SHARE)
    return ready >= enough or not 0 <= waited < held // _PER_SECOND
