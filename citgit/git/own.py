"""Sources that begin with the repository one is in: what is asked for there needs no mirror and no fetch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from citgit.git.objects import GitObjects
from citgit.git.sources import Mirrors, changed_paths, chosen_files, commit_bytes, revision_of, tree_of
from citgit.interfaces import Oid, Revision

_PATIENCE = 900.0


class OwnSources:
    """The repository at `place`, whose address is `url`, and `others` for everything else."""

    def __init__(self, place: Path, url: str, others: Mirrors) -> None:
        self._place = place
        self._url = url
        self._objects = GitObjects(place)
        self._others = others

    def heads(self, url: str) -> dict[str, Oid]:
        """The branches by short name. Raises RemoteAway, Refused."""
        return self._others.heads(url)

    def fetch(self, url: str, commit: Oid, ref: str = "") -> Revision:
        """Makes the commit available. Raises NotYet, RemoteAway, Refused."""
        if url != self._url:
            return self._others.fetch(url, commit, ref)
        return revision_of(commit, commit_bytes(self._objects, commit))

    def on_branch(self, url: str, branch: str, commit: Oid) -> bool:
        """Whether a commit is the branch's head, or before it. Raises RemoteAway, Refused."""
        return self._others.on_branch(url, branch, commit)

    def files(self, url: str, commit: Oid, paths: Sequence[str]) -> dict[str, bytes]:
        """Those `paths` that exist (a path ending in "/" = the *.toml files in it)."""
        if url != self._url:
            return self._others.files(url, commit, paths)
        return chosen_files(self._objects, self.tree(url, commit), paths)

    def changed(self, url: str, old: Oid | None, new: Oid) -> list[str] | None:
        """The paths that differ between two commits; None if that cannot be told."""
        return (
            changed_paths(self._place, old, new, _PATIENCE) if url == self._url else self._others.changed(url, old, new)
        )

    def checkout(self, url: str, commit: Oid, target: Path, *, submodules: bool) -> list[Path]:
        """A fresh checkout at `target`. Raises NotYet, Refused, Errored."""
        if url == self._url:
            # a workspace borrows its objects from a mirror, never from where a person works
            self._others.fetch(url, commit)
        return self._others.checkout(url, commit, target, submodules=submodules)

    def places(
        self, url: str, commit: Oid, ref: str = "", *, submodules: bool, address: str = ""
    ) -> list[tuple[str, Path, Oid]]:
        """As of mirrors; what this repository lacks is fetched from `address`. Raises NotYet, RemoteAway, Refused."""
        if url != self._url or not self._objects.has(commit):
            return self._others.places(address if url == self._url else url, commit, ref, submodules=submodules)
        below = self._others.below(self._place, address or url, commit) if submodules else []
        return [("", self._place, commit), *below]

    def is_light(self, url: str, commit: Oid) -> bool:
        """Whether a checkout takes a moment only: one from here is one from a mirror that may not have it yet."""
        return self._others.is_light(url, commit)

    def tree(self, url: str, commit: Oid) -> Oid:
        """The tree of a commit. Raises NotYet."""
        if url != self._url:
            return self._others.tree(url, commit)
        return tree_of(commit_bytes(self._objects, commit))
