"""Builds of which the archive holds another end than was seen here: what was seen is forgotten if that end counts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from citgit.errors import NotFound, NotYet, Refused
from citgit.flows.builds import Repository
from citgit.flows.compare import lost
from citgit.flows.state import Snapshot, State
from citgit.interfaces import Oid
from citgit.model.names import Kind
from citgit.rules.folding import is_outdone


def forget(state: State, snapshot: Snapshot, memory: Mapping[str, Oid]) -> Snapshot:
    """The snapshot without alarms about such builds; `memory` is what was remembered of them.

    A restored host, or a late copy of an old push, can make two ends of a build without anybody's lie. The archive's
    wins and the other one's ref is deleted: whoever saw that one must neither miss it for ever nor give it back.
    """
    repository = Repository(state, snapshot)
    there = {
        ref: tip for ref, tip in snapshot.behind.items() if ref in memory and _is_outdone(repository, ref, memory[ref])
    }  # fmt: skip
    if not there:
        return snapshot
    state.tips.save(there)
    gone = {lost(ref, memory[ref], tip) for ref, tip in there.items()}
    tips = {**snapshot.tips, **there}
    return replace(
        snapshot,
        tips={ref: tip for ref, tip in tips.items() if tip},
        behind={ref: tip for ref, tip in snapshot.behind.items() if ref not in there},
        alarms=tuple(alarm for alarm in snapshot.alarms if alarm not in gone),
    )


def _is_outdone(repository: Repository, ref: str, before: Oid) -> bool:
    place = repository.state.refs.parse(ref)
    if place is None or place.kind is not Kind.BUILD:
        return False
    with suppress(NotYet, NotFound, Refused):
        entry = repository.entry(place.group, place.leaf)
        return entry is not None and is_outdone(repository.build(ref, before), entry, repository.snapshot.policies)
    return False
