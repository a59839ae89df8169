"""The repository that git serves from here, as a hook in it sees it: refs by name, objects with those just pushed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from citgit.errors import Bug
from citgit.git.objects import GitObjects
from citgit.interfaces import Answer, Oid, Pushed, Update


class HostedRepository:
    """The refs of the bare repository `git_dir`, read through pygit2; as a Remote it is read only."""

    def __init__(self, git_dir: Path) -> None:
        import pygit2

        # git decided already that it may run hooks here, whoever owns the shared repository
        pygit2.settings.owner_validation = False
        self._git_dir = git_dir
        self._repository: Any = pygit2.Repository(str(git_dir))

    @property
    def url(self) -> str:
        """Its path."""
        return str(self._git_dir)

    def tip(self, ref: str) -> Oid | None:
        """Where the ref is; None if it does not exist."""
        found = self._repository.references.get(ref)
        return None if found is None or found.type == 2 else str(found.target)  # 2: symbolic, which no record is

    def under(self, prefix: str) -> dict[str, Oid]:
        """All refs whose names start with `prefix`."""
        names = [name for name in self._repository.references if name.startswith(prefix)]
        return {name: oid for name in names if (oid := self.tip(name))}

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """The refs under `prefixes`: their objects are here."""
        return {ref: oid for prefix in prefixes for ref, oid in self.under(prefix).items()}

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """Nothing is pushed from a hook."""
        return [Pushed(update, Answer.DENIED, "a hook judges, and changes nothing") for update in updates]


def pushed_objects(git_dir: Path, quarantine: Path | None) -> GitObjects:
    """The objects of the repository and those that a push has brought so far. Raises Bug for a path elsewhere."""
    if quarantine and (git_dir / "objects").resolve() not in quarantine.resolve().parents:
        raise Bug(f"not a quarantine of {str(git_dir)!r}: {str(quarantine)!r}")
    return GitObjects(git_dir, beside=quarantine)
