"""From chosen jobs to one root request that promises the rest: upstream jobs and matrix cells included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from citgit.errors import UsageError
from citgit.model.job import Job
from citgit.model.record import Cause, CauseKind, Promise, Request
from citgit.rules.ids import promise_id


class Cell(NamedTuple):
    """One build of a pipeline before it has an id: `label` is unique in the pipeline."""

    label: str
    job: Job
    request: Request


def ordered(wanted: Sequence[str], upstream_of: Callable[[str], Sequence[str]]) -> list[str]:
    """The wanted jobs and all they come after, upstream first. Raises UsageError on a cycle."""
    done: list[str] = []
    path: list[str] = []

    def visit(name: str) -> None:
        if name in path:
            raise UsageError(f"jobs come after each other in a circle: {' -> '.join([*path, name])}")
        if name in done:
            return
        path.append(name)
        for upstream in upstream_of(name):
            visit(upstream)
        path.pop()
        done.append(name)

    for name in wanted:
        visit(name)
    return done


def promises(root: str, cells: Sequence[Cell], upstream: dict[str, Sequence[str]]) -> tuple[Promise, ...]:
    """The promises of a pipeline whose first cell becomes the root request with id `root`.

    `upstream` maps a cell's label to the labels it comes after; all earlier in the list.
    """
    ids = {cells[0].label: root}
    made = []
    for index, cell in enumerate(cells[1:]):
        ids[cell.label] = promise_id(root, index)
        cause = Cause(kind=CauseKind.PROMISE, build=root, index=index)
        after = {label: ids[label] for label in upstream.get(cell.label, ())}
        request = msgspec.structs.replace(cell.request, cause=cause, upstream=after)
        made.append(Promise(id=ids[cell.label], pool=cell.job.place.pool, request=request))
    return tuple(made)
