"""Views of logs of 1 GiB: packing them, then their first, last and failing lines, each by a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from citgit.logs.capture import Capture
from citgit.model.record import Exit

SIZE = 1 << 30

_VIEW = """
import itertools, sys
from pathlib import Path
from citgit.wiring.logs import LocalLog, read, tail
from citgit.wiring.packing import first_error
log = LocalLog(Path(sys.argv[1]))
views = {"first": lambda: list(itertools.islice(read(log, ""), 20)), "last": lambda: tail(log, "", 20),
         "failing": lambda: first_error(log)}
assert views[sys.argv[2]]() or sys.argv[2] == "failing"
"""
_PACK = """
import sys
from pathlib import Path
from citgit.wiring.packing import pack
pack(Path(sys.argv[1]))
"""


def measure() -> dict[str, float]:
    """Seconds and MiB of the slowest and of the largest of all views; seconds, MiB and share of the size of packing."""
    found: dict[str, float] = {}
    for kind, content in (("lines", _lines), ("one line", _line), ("binary", _binary)):
        with tempfile.TemporaryDirectory() as name:
            log = Path(name) / "log"
            _write(log, content())
            seconds, memory = _run(_PACK, str(log))
            found |= {f"{kind}: pack, s": seconds, f"{kind}: pack, MiB": memory}
            found[f"{kind}: packed, % of size"] = 100 * (log / "out.zst").stat().st_size / SIZE
            views = [_run(_VIEW, str(log), one) for one in ("first", "last", "failing")]
            for at, one in enumerate(("first", "last", "failing")):
                found |= {f"{kind}: {one}, s": views[at][0], f"{kind}: {one}, MiB": views[at][1]}
    return found


def _write(log: Path, content: Iterator[bytes]) -> None:
    Capture().begin(log, "", 1)
    size = 0
    with open(log / "out", "wb") as out:
        while size < SIZE:
            size += out.write(next(content))
    Capture().mark(log, 60_000)
    Capture().finish(log, 60_000, Exit(status=2), 2 * SIZE)


def _lines() -> Iterator[bytes]:
    """Compiler calls; in the middle, a failing one."""
    count = 0
    while True:
        lines = [f"cc -O2 -Wall -Iinclude -c -o build/part{at}.o src/part{at}.c" for at in range(count, count + 10_000)]
        count += 10_000
        if count == 8_000_000:
            lines[5000] = "src/part.c:7:12: error: 'x' undeclared"
        yield ("\n".join(lines) + "\n").encode()


def _line() -> Iterator[bytes]:
    while True:
        yield b"all of this is one line " * 50_000


def _binary() -> Iterator[bytes]:
    while True:
        yield os.urandom(1 << 20)


def _run(program: str, *arguments: str) -> tuple[float, float]:
    """Seconds, and MiB at the peak."""
    began = time.monotonic()
    child = subprocess.Popen([sys.executable, "-c", program, *arguments])
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"a view failed: {arguments}")
    return time.monotonic() - began, used.ru_maxrss / 1024
