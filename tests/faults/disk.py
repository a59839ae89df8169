"""A disk that fails under a process and its children: the shim of disk.c, compiled here, and what it is told."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from services import need

SOURCE = Path(__file__).with_name("disk.c")
NEVER = 1 << 62


class Disk:
    """Fails operations that write below `below` (a folder, with its slash); `env` is for the process."""

    def __init__(self, place: Path, below: str) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            need("a C compiler")
        place.mkdir(parents=True, exist_ok=True)
        self._state, self.log = place / "state", place / "log"
        library = place / "disk.so"
        subprocess.run([str(compiler), "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True)
        self._state.write_bytes(struct.pack("4q", NEVER, NEVER, 0, 0))
        self.env = {
            "LD_PRELOAD": str(library), "CIT_DISK_BELOW": below, "CIT_DISK_STATE": str(self._state),
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
