"""Builds while the host is away: what is written is taken by a stand-in for it, and kept until the host is back.

The stand-in shows what this clone remembers and what waits in its journal. It takes only what the host would take of a
person who builds for themselves: the next records of builds in the pool `here`. They go out together, in their order,
by whatever reaches the host next; there the lease decides, as ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from citgit.flows.poll import remembered
from citgit.flows.state import Actor, State
from citgit.interfaces import Answer, Entrusted, Journal, Oid, Pushed, Update
from citgit.model.names import HERE, Kind

_AWAY = "the host is away"


@dataclass(slots=True)
class _Session:
    """What a client knows that starts now and ends with the build: a journal and a memory of tips."""

    waiting: list[Entrusted] = field(default_factory=list)
    sent: set[Oid] = field(default_factory=set)
    tips: dict[str, Oid] = field(default_factory=dict)

    def add(self, *entries: Entrusted) -> None:
        """As a journal."""
        self.waiting += entries
        self.sent |= {entry.new for entry in entries if entry.kind == "claim"}

    def entries(self) -> list[Entrusted]:
        """As a journal."""
        return list(self.waiting)

    def settle(self, *news: Oid) -> None:
        """As a journal."""
        self.waiting = [entry for entry in self.waiting if entry.new not in news]

    def claims(self) -> set[Oid]:
        """As a journal."""
        return set(self.sent)

    def load(self) -> dict[str, Oid]:
        """As a memory of tips."""
        return dict(self.tips)

    def save(self, changes: Mapping[str, Oid | None]) -> None:
        """As a memory of tips."""
        for ref, tip in changes.items():
            if tip is None:
                self.tips.pop(ref, None)
            else:
                self.tips[ref] = tip


class StandIn:
    """The remote of a client whose host is away: `state` remembers, `journal` keeps what is taken."""

    def __init__(self, state: State, journal: Journal, session: _Session) -> None:
        self._state, self._journal, self._session = state, journal, session

    @property
    def url(self) -> str:
        """Where the host is."""
        return self._state.remote.url

    def _refs(self) -> Mapping[str, Oid]:
        return remembered(self._state, self._journal.entries()).tips

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """The refs as they are remembered, with what was signed here since."""
        whole = tuple(one for one in prefixes if one.endswith("/"))
        return {ref: tip for ref, tip in self._refs().items() if ref in prefixes or ref.startswith(whole)}

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Keeps each record of a build here that follows the last one; the rest has to wait for the host."""
        return [self._take(update) for update in updates]

    def _take(self, update: Update) -> Pushed:
        place, now = self._state.refs.parse(update.ref), self._refs().get(update.ref)
        if update.new is None or place is None or place.kind is not Kind.BUILD or place.group != HERE:
            return Pushed(update, Answer.DENIED, _AWAY)
        if now == update.new:
            return Pushed(update, Answer.DONE)
        if now != update.old:
            return Pushed(update, Answer.STALE, "it moved")
        known = next((one for one in self._session.waiting if one.new == update.new), None)
        if known is None:
            return Pushed(update, Answer.DENIED, _AWAY)
        self._journal.add(known)
        return Pushed(update, Answer.DONE)


def offline(state: State, actor: Actor) -> tuple[State, Actor]:
    """A client and its actor for as long as the host is away; what they write is kept in the actor's own journal."""
    session = _Session()
    away = replace(state, remote=StandIn(state, actor.journal, session), tips=session)
    return away, replace(actor, journal=session)
