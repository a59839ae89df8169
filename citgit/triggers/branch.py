"""The trigger `push`, as a worker sees it: branches of a repository that moved since it looked last."""

from __future__ import annotations

import json
import os
from pathlib import Path

from citgit.interfaces import Oid, Sources
from citgit.model.names import is_oid


class BranchTrigger:
    """Remembers heads in `memory`. What was there before the first look is not built: it is where we begin."""

    name = "push"

    def __init__(self, sources: Sources, url: str, memory: Path) -> None:
        self._sources = sources
        self._url = url
        self._memory = memory

    def due(self) -> list[tuple[str, Oid | None, Oid]]:
        """(branch, old, new) of what moved; told again until `done`. Raises RemoteAway, Refused."""
        heads = self._sources.heads(self._url)
        known = self._load()
        if known is None:
            self._save(heads)
            return []
        gone = {branch: oid for branch, oid in known.items() if branch in heads}
        if gone != known:
            self._save(gone)
        return [(branch, known.get(branch), oid) for branch, oid in sorted(heads.items()) if known.get(branch) != oid]

    def done(self, branch: str, new: Oid) -> None:
        """The change was acted upon."""
        self._save({**(self._load() or {}), branch: new})

    def _load(self) -> dict[str, Oid] | None:
        try:
            found = json.loads(self._memory.read_text())
        except (OSError, ValueError):
            return None
        return {key: oid for key, oid in found.items() if isinstance(oid, str) and is_oid(oid)}

    def _save(self, heads: dict[str, Oid]) -> None:
        scratch = self._memory.with_suffix(".new")
        with open(scratch, "w") as file:
            file.write(json.dumps(heads, indent=1, sort_keys=True))
            # lost in a power cut, it would have this begin at the present heads, past pushes that nobody acted upon
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, self._memory)
