"""What somebody dropped from an archive while this program looked on: it counts, and is put back."""

from __future__ import annotations

from citgit.flows.folders import follows, missing
from citgit.flows.state import State, Takings
from citgit.interfaces import Oid

_MOST = 16


def lost(state: State, ref: str, tip: Oid) -> tuple[Oid, ...]:
    """The commits of the archive at `ref` that were its tip here and hold entries which its tip now lacks.

    Each new tip is compared with the one before it: the days that differ. A month may have thousands of commits, so
    what was dropped before this program looked is for whoever saw it to put back.
    """
    known = state.takings.get(ref, Takings(tip))
    if known.tip != tip:
        # after a restore an archive may have gone another way, and its word counts
        seen = (*known.lost, known.tip) if follows(state, tip, known.tip) else ()
        known = Takings(tip, tuple(one for one in seen if missing(state, tip, one))[:_MOST])
    state.takings[ref] = known
    return known.lost


def dropped(state: State, ref: str, tip: Oid) -> list[str]:
    """The names of the entries that the archive lacks now."""
    return sorted({build for one in lost(state, ref, tip) for build in missing(state, tip, one)})
