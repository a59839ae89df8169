"""Whether what a reader sees may be old: a frozen view shows no fault in any record, only silence (PROTOCOL §4)."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.errors import CitError
from citgit.flows.builds import Repository, is_running
from citgit.flows.chains import read_link
from citgit.flows.restore import had_seen_more
from citgit.model.build import Build
from citgit.model.names import Kind
from citgit.model.record import Advert, Beat

MISSED = 3
"""Beats that a holder may miss before a reader is told."""


def silent(repository: Repository, now: int) -> list[str]:
    """The holders who said nothing for some beats, in words. `now` (unix seconds) is for show: nothing is judged by it.

    Either they are dead, and soon another agent takes over, or the host shows an old state to this reader.
    Reads the agents' last beats and the builds that those renew, however many builds there are.
    """
    state = repository.state
    most = MISSED * repository.snapshot.policies.tip.team.limits.beat
    told = []
    for tip in repository.snapshot.of(state.refs, Kind.AGENT).values():
        try:
            record = read_link(state, tip).record
            body = record.body if record else None
            if record is None or not isinstance(body, Advert | Beat) or now - record.head.time <= most:
                continue
            for build in _held(repository, body.renews):
                last = build.entries[-1].link.record
                quiet = now - max(record.head.time, last.head.time if last else 0)
                if quiet > most:
                    told.append(f"{record.head.actor}, who holds build {build.id}, has said nothing for {quiet} s")
        except CitError:
            continue  # what cannot be read or judged is told elsewhere
    return told


def otherwise(repository: Repository) -> list[str]:
    """What agents had seen, by their latest records, and the host does not show here: a restore, or two views of it."""
    state = repository.state
    told: list[str] = []
    for tip in repository.snapshot.of(state.refs, Kind.AGENT).values():
        try:
            told += had_seen_more(state, repository.snapshot, read_link(state, tip))
        except CitError:
            continue
    return told


def _held(repository: Repository, claims: tuple[str, ...]) -> Iterator[Build]:
    for claim in claims:
        record = read_link(repository.state, claim).record
        tip = repository.snapshot.tips.get(record.head.ref) if record else None
        if record and tip:
            build = repository.build(record.head.ref, tip)
            if is_running(build) and build.held and build.held.claim == claim:
                yield build
