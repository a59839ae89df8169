"""The tips that a clone remembers, as refs of its own: they survive restarts and an emptied host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from citgit.errors import Bug
from citgit.git.objects import common_dir
from citgit.git.program import must, run
from citgit.interfaces import Oid
from citgit.model.names import DEFAULT_ROOT, SEEN


class GitTips:
    """Remembers refs under `root` as `refs/cit-seen/<folder>/…` of the repository `git_dir`.

    `report` is told, in one line, of each remembered tip that turned out to be damaged and was dropped.
    """

    def __init__(
        self,
        git_dir: Path,
        root: str = DEFAULT_ROOT,
        *,
        folder: str = "tip",
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._git_dir = git_dir
        self._root = root
        self._base = f"{SEEN}{folder}/"
        self._report = report

    def load(self) -> dict[str, Oid]:
        """All remembered tips by ref; a damaged one is dropped and reported."""
        listing = must(
            ["for-each-ref", "--format=%(objectname) %(refname)", "--", self._base],
            git_dir=self._git_dir,
            doing="read the remembered tips",
        )
        for line in listing.stderr.split("\n"):
            if self._base in line:
                self._drop(line)
        lines = listing.stdout.decode("utf-8", "surrogateescape").split("\n")
        return {self._root + line[41 + len(self._base) :]: line[:40] for line in lines if line}

    def save(self, changes: Mapping[str, Oid | None]) -> None:
        """Remembers tips; None forgets one. Raises GitFailed if this repository cannot be written."""
        for ref in changes:
            if not ref.startswith(self._root):
                raise Bug(f"not a ref under {self._root!r}: {ref[:200]!a}")
        gone = [ref for ref, oid in changes.items() if oid is None]
        kept = {ref: oid for ref, oid in changes.items() if oid is not None}
        # Deleted first: a forgotten name may be in the way of a new one (x and x/y cannot coexist).
        self._write([f"delete {self._local(ref)}" for ref in gone])
        if not self._write([f"update {self._local(ref)} {oid}" for ref, oid in kept.items()], strict=False):
            for ref, oid in kept.items():
                self._save_alone(ref, oid)

    def _save_alone(self, ref: str, oid: Oid) -> None:
        line = [f"update {self._local(ref)} {oid}"]
        if self._write(line, strict=False):
            return
        # Either the remembered value is damaged (loading drops it), or the host's names have changed shape since.
        for other in self.load():
            if other.startswith(ref + "/") or ref.startswith(other + "/"):
                self._report(f"forgot {other!r}, which is in the way of {ref!r}")
                self._write([f"delete {self._local(other)}"])
        self._write(line)

    def _write(self, lines: list[str], *, strict: bool = True) -> bool:
        if not lines:
            return True
        given = "\n".join([*lines, ""]).encode("utf-8", "surrogateescape")
        if strict:
            must(["update-ref", "--no-deref", "--stdin"], doing="remember tips", git_dir=self._git_dir, input=given)
            return True
        return run(["update-ref", "--no-deref", "--stdin"], git_dir=self._git_dir, input=given).status == 0

    def _drop(self, warning: str) -> None:
        """Removes the ref that git's warning names; only the file of a loose one can be damaged."""
        name = warning[warning.index(self._base) :].strip().rstrip("'")
        self._unlink(name)
        self._report(f"dropped the damaged memory of {self._root + name[len(self._base) :]!r}: {warning.strip()}")

    def _unlink(self, local: str) -> None:
        path = common_dir(self._git_dir) / local
        if ".." not in Path(local).parts and path.is_file():
            path.unlink()

    def _local(self, ref: str) -> str:
        return self._base + ref[len(self._root) :]
