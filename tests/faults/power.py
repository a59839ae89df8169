"""What a power cut leaves: files as they were last synced, names as they were at the last sync of their disk."""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path

from disk import preloaded


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the shim's log."""

    number: int
    what: str
    inode: int
    path: str
    other: str = ""


@dataclass
class Power:
    """Watches what is written below `top`; `env` is for the processes. Each of `disks` syncs on its own."""

    top: Path
    place: Path
    disks: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.env = {
            "LD_PRELOAD": preloaded(self.place, "power"), "CIT_POWER_BELOW": f"{self.top}/",
            "CIT_POWER_DIR": str(self.place),
        }  # fmt: skip
        (self.place / "count").write_bytes(struct.pack("q", 0))
        self._inodes = {path.stat().st_ino: path for path in self.top.rglob("*") if path.is_file()}
        self._names = [(path.stat().st_ino, path) for path in self.top.rglob("*") if path.is_file()]
        self._base = self.place / "base"
        shutil.copytree(self.top, self._base, symlinks=True)

    def count(self) -> int:
        """How many steps there were."""
        return int(struct.unpack("q", (self.place / "count").read_bytes())[0])

    def steps(self) -> list[Step]:
        """All of them, in order."""
        found = []
        for line in (self.place / "log").read_text().splitlines():
            number, what, inode, paths = line.split(" ", 3)
            found.append(Step(int(number), what, int(inode), *paths.split("\t")))
        return sorted(found, key=lambda step: step.number)

    def image(self, cut: int, target: Path) -> None:
        """Makes at `target` what the power cut right before step `cut` leaves of each disk."""
        steps = [step for step in self.steps() if step.number < cut]
        last = {disk: max((one.number for one in steps if one.what in "SB" and self._disk(one) == disk), default=-1)
                for disk in self.disks}  # fmt: skip
        shutil.copytree(self._base, target, symlinks=True)
        # inode -> (where its synced content is, whether anything was synced since it was made)
        content: dict[int, Path | None] = {inode: self._base / path.relative_to(self.top)
                                           for inode, path in self._inodes.items()}  # fmt: skip
        # git links files between its repositories, so several names may hold one inode
        held: dict[str, int] = {str(path): inode for inode, path in self._names}
        for step in steps:
            if step.number <= last[self._disk(step)]:
                self._replay(step, content, held, target)
        self._lay_out(target, content, held)

    def _disk(self, step: Step) -> str:
        return next(disk for disk in self.disks if step.path.startswith(f"{self.top}/{disk}"))

    def _replay(self, step: Step, content: dict[int, Path | None], held: dict[str, int], target: Path) -> None:
        folder = target / Path(step.path).relative_to(self.top)
        match step.what:
            case "C":
                held[step.path], content[step.inode] = step.inode, None
            case "T":
                content[step.inode] = None
            case "S":
                content[step.inode] = self.place / str(step.number)
            case "M":
                folder.mkdir(parents=True, exist_ok=True)
            case "R":
                if folder.is_dir():
                    folder.rename(target / Path(step.other).relative_to(self.top))
                for path in [one for one in held if one == step.path or one.startswith(f"{step.path}/")]:
                    held[step.other + path[len(step.path) :]] = held.pop(path)
            case "L":
                if step.path in held:
                    held[step.other] = held[step.path]
            case "U":
                held.pop(step.path, None)

    def _lay_out(self, target: Path, content: dict[int, Path | None], held: dict[str, int]) -> None:
        for path in [one for one in target.rglob("*") if one.is_file() and not one.is_symlink()]:
            path.unlink()
        for name, inode in held.items():
            path, source = target / Path(name).relative_to(self.top), content[inode]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read_bytes() if source else b"")
            if name.endswith((".sh", ".key")) or "/keys/" in name:
                path.chmod(0o600)
