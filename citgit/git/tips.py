"""The tips that a clone remembers, as refs of its own: they survive restarts and an emptied host."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from citgit.errors import Bug, Errored, NodeFull
from citgit.git.objects import common_dir
from citgit.git.refs import RefFiles
from citgit.interfaces import Answer, Oid, Update
from citgit.model.names import DEFAULT_ROOT, SEEN


class GitTips:
    """Remembers refs under `root` as `refs/cit-seen/<folder>/…` of the repository `git_dir`.

    They are not synced: a power cut may cost the newest memory, not what is remembered. `alone` is for whoever is
    the only one that writes here: what is in the files is then read once. `report` is told, in one line, of each
    remembered tip that turned out to be damaged and was dropped.
    """

    def __init__(
        self,
        git_dir: Path,
        root: str = DEFAULT_ROOT,
        *,
        folder: str = "tip",
        alone: bool = False,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._place = common_dir(git_dir)
        self._root = root
        self._base = f"{SEEN}{folder}/"
        self._refs = RefFiles(self._place, self._base)
        self._alone = alone
        self._known: dict[str, Oid] | None = None
        self._report = report

    def load(self) -> dict[str, Oid]:
        """All remembered tips by ref; a damaged one is dropped and reported."""
        if self._known is not None:
            return dict(self._known)
        for local, oid in list(self._refs.loose(self._base)):
            if oid is None:
                with contextlib.suppress(OSError):
                    (self._place / local).unlink()
                self._report(f"dropped the damaged memory of {self._ref(local)!r}")
        found = {self._ref(local): oid for local, oid in self._refs.under(self._base).items()}
        self._known = dict(found) if self._alone else None
        return found

    def save(self, changes: Mapping[str, Oid | None]) -> None:
        """Remembers tips; None forgets one. Raises Errored if this repository cannot be written."""
        for ref in changes:
            if not ref.startswith(self._root):
                raise Bug(f"not a ref under {self._root!r}: {ref[:200]!a}")
        # Deleted first: a forgotten name may be in the way of a new one (x and x/y cannot coexist).
        self._put({ref: None for ref, oid in changes.items() if oid is None})
        self._put({ref: oid for ref, oid in changes.items() if oid is not None})

    def _put(self, changes: Mapping[str, Oid | None], again: bool = False) -> None:
        if not changes:
            return
        try:
            answers = self._refs.put([Update(self._local(ref), None, oid) for ref, oid in changes.items()])
        except OSError as error:
            raise NodeFull(
                f"cannot remember tips in {str(self._place)!r}: {error.strerror}",
                hint="free some space there, or make it writable for this user",
            ) from error
        failed = {self._ref(one.update.ref): one for one in answers if one.answer is not Answer.DONE}
        if self._known is not None:
            done = {ref: oid for ref, oid in changes.items() if ref not in failed}
            self._known = {ref: oid for ref, oid in (self._known | done).items() if oid}
        blocked = {ref: changes[ref] for ref, one in failed.items() if one.answer is Answer.DENIED and not again}
        if len(blocked) < len(failed):
            words = "; ".join(one.message for ref, one in failed.items() if ref not in blocked)
            raise Errored(f"cannot remember tips: {words}", hint="remove the lock if nothing holds it any more")
        if blocked:
            self._make_room(blocked)
            self._put(blocked, again=True)

    def _make_room(self, blocked: Mapping[str, Oid | None]) -> None:
        """The host's names have changed shape since: what was a ref is a folder, or the reverse."""
        for ref in blocked:
            for other in self.load():
                if other.startswith(ref + "/") or ref.startswith(other + "/"):
                    self._report(f"forgot {other!r}, which is in the way of {ref!r}")
                    self._put({other: None})

    def _ref(self, local: str) -> str:
        return self._root + local[len(self._base) :]

    def _local(self, ref: str) -> str:
        return self._base + ref[len(self._root) :]
