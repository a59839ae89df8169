"""What stands at the ref of a build and is none: it may go, or be replaced, and nothing is lost (PROTOCOL §3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from citgit.errors import CitError
from citgit.flows.chains import read_chain
from citgit.flows.folders import tips_back
from citgit.flows.policies import read_policies
from citgit.flows.state import State
from citgit.interfaces import Oid
from citgit.model.names import Kind
from citgit.model.record import CauseKind, Moved, Promise, Request, Result
from citgit.rules.facts import NoFacts, Origin, Promised
from citgit.rules.ids import month_of
from citgit.rules.judge import judge
from citgit.rules.lifecycle import State as Life


def was_no_build(state: State, policy: Oid | None, ref: str, tip: Oid, tips: Mapping[str, Oid]) -> bool:
    """Whether the chain that ended at `tip` had a void root under the policies up to `policy`.

    A promised build's root rests on its promise: "no" where none of `tips` shows the build that would hold it.
    """
    place = state.refs.parse(ref)
    if policy is None or place is None or place.kind is not Kind.BUILD:
        return False
    try:
        root = read_chain(state, tip)[:1]
        facts: NoFacts = NoFacts()
        body = root[0].record.body if root[0].record else None
        if isinstance(body, Request) and body.cause.kind is CauseKind.PROMISE:
            chains = list(_chains(state, tips, body.cause.build))
            if not chains:
                return False
            facts = _Written([one for chain in chains for one in _promises(state, chain)])
        return judge(ref, place, root, read_policies(state, policy), facts).state == Life.NONE.value
    except CitError:
        return False


class _Written(NoFacts):
    """The promises that records hold, whether these count or not: what is not among them, nobody promised."""

    def __init__(self, promises: list[Promise]) -> None:
        self._promises = promises

    def promised(self, build: str, index: int) -> Promised | None:
        """By its index."""
        found = (one for one in self._promises if one.request.cause.index == index)
        return next((Promised(one, Origin("", "")) for one in found), None)


def _chains(state: State, tips: Mapping[str, Oid], build: str) -> Iterator[Oid]:
    """The tips of everything that stands or stood under the build's id, in whatever pool."""
    for ref, tip in tips.items():
        place = state.refs.parse(ref)
        if place and place.kind is Kind.BUILD and place.leaf == build:
            yield tip
        elif place and place.kind is Kind.ARCHIVE and place.leaf == month_of(build):
            yield from tips_back(state, tip, build)


def _promises(state: State, tip: Oid) -> Iterator[Promise]:
    for link in read_chain(state, tip):
        body = link.record.body if link.record else None
        if isinstance(body, Request | Result | Moved):
            yield from body.promises
