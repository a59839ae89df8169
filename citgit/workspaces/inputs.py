"""Artifacts of upstream builds that this node made: found among its attempts, put into a workspace, verified."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from citgit.errors import Errored, NotFound
from citgit.model.names import is_oid, plain_parts
from citgit.model.plan import Input
from citgit.workspaces.landing import landing

_BLOCK = 1 << 20


def find(homes: Iterable[Path], wanted: Input) -> Path | None:
    """The kept copy of the file below one of the workers' homes; None if this node does not have it."""
    if not is_oid(wanted.claim) or not plain_parts(wanted.path):
        return None
    for home in homes:
        path = home / "attempts" / wanted.claim / "artifacts" / wanted.path
        try:
            if path.is_file() and path.stat().st_size == wanted.size:
                return path
        except OSError:
            continue
    return None


def bring(homes: Sequence[Path], workspace: Path, inputs: Iterable[Input]) -> None:
    """Puts each file where it was in its own workspace, in place of what the checkout has there.

    Raises NotFound if this node does not have one, Refused if its content is not what its result says or a link
    leads out of the workspace, Errored if two upstream builds made different files of one path.
    """
    made: dict[str, Input] = {}
    for one in inputs:
        before = made.setdefault(one.path, one)
        if before.sha256 != one.sha256:
            raise Errored(f"artifact {one.path!r} comes from {before.label} and from {one.label}, and they differ")
        kept = find(homes, one)
        if kept is None:
            raise NotFound(f"artifact {one.path!r} of {one.label} is not on this node any more")
        _copy(kept, workspace, one)


def _copy(kept: Path, workspace: Path, wanted: Input) -> None:
    with open(kept, "rb") as source, landing(workspace, wanted) as target:
        while block := source.read(_BLOCK):
            target.write(block)
