"""A disk that fails under a process and its children: the shim of disk.c, compiled here, and what it is told."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from services import need

NEVER = 1 << 62


def preloaded(place: Path, name: str) -> str:
    """The shim NAME.c, compiled into `place`: a value for LD_PRELOAD."""
    compiler = shutil.which("cc")
    if compiler is None:
        need("a C compiler")
    place.mkdir(parents=True, exist_ok=True)
    library, source = place / f"{name}.so", Path(__file__).with_name(f"{name}.c")
    subprocess.run([str(compiler), "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return str(library)


class Disk:
    """Fails operations that write below `below` (a folder, with its slash); `env` is for the process."""

    def __init__(self, place: Path, below: str) -> None:
        self._state, self.log = place / "state", place / "log"
        library = preloaded(place, "disk")
        self._state.write_bytes(struct.pack("4q", NEVER, NEVER, 0, 0))
        self.env = {
            "LD_PRELOAD": library, "CIT_DISK_BELOW": below, "CIT_DISK_STATE": str(self._state),
            "CIT_DISK_LOG": str(self.log),
        }  # fmt: skip

    def count(self) -> int:
        """How many operations there were."""
        return int(struct.unpack("4q", self._state.read_bytes())[3])

    def fail(self, number: int, *, after: int = 0, times: int = NEVER) -> tuple[int, int]:
        """From the `after`-th operation from now on, `times` of them fail with errno `number`; which ones."""
        first = self.count() + after
        with open(self._state, "r+b") as file:
            file.write(struct.pack("3q", first, min(first + times, NEVER), number))
        return first, first + times

    def heal(self) -> None:
        """Nothing fails any more."""
        with open(self._state, "r+b") as file:
            file.write(struct.pack("2q", NEVER, NEVER))

    def failed(self) -> list[str]:
        """What failed: "write /path" and so on."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line.partition("!")[2] for line in lines if "!" in line]
