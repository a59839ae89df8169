"""What it costs to tell a build's parts apart: a recursive make of C files, and recipe lines that do nothing."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from citgit.executors.split import split_environment
from citgit.logs.capture import TOOLS, Capture
from citgit.model.job import Split

FOLDERS, FILES, LINES = 10, 40, 300

_SOURCE = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f{n}(const char *s) {{ char b[99]; " + (
    'snprintf(b, sizeof b, "%s", s); return (int)strlen(b) + atoi(b); }}\n'
)


def measure() -> dict[str, float]:
    """Seconds without and with a split log, their ratio, and ms that `SHELL=cit-sh` adds to a recipe line."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        _project(top)
        plain, split = [], []
        for _ in range(2):
            plain.append(_make(top, "all"))
            split.append(_make(top, "all", split=True))
        bare = min(_make(top, "lines") for _ in range(2))
        lines = min(_make(top, "lines", f"SHELL={TOOLS}/cit-sh") for _ in range(2))
    return {
        "C build, s": min(plain), "C build with split log, s": min(split), "ratio": min(split) / min(plain),
        "cit-sh, ms a line": (lines - bare) / LINES * 1000,
    }  # fmt: skip


def _project(top: Path) -> None:
    folders = " ".join(f"part{at}" for at in range(FOLDERS))
    rules = "".join(f"\t@: {at} && :\n" for at in range(LINES))
    (top / "Makefile").write_text(
        f"all:\n\t@for d in {folders}; do $(MAKE) -s -C $$d || exit 1; done\nlines:\n{rules}.PHONY: all lines\n"
    )
    for at in range(FOLDERS):
        place = top / f"part{at}"
        place.mkdir()
        objects = " ".join(f"f{n}.o" for n in range(FILES))
        (place / "Makefile").write_text(
            f"lib.a: {objects}\n\tar rc $@ $^\n\trm -f lib.a *.o\n%.o: %.c\n\tcc -O1 -c $<\n"
        )
        for n in range(FILES):
            (place / f"f{n}.c").write_text(_SOURCE.format(n=n))


def _make(top: Path, *arguments: str, split: bool = False) -> float:
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        Capture().begin(log, "", 1)
        env = {
            "PATH": os.environ["PATH"], "CIT_WORKSPACE": str(top), "CIT_DIRECTORY": str(top), "CIT_LOG": str(log),
            "CIT_TOOLS": str(TOOLS),
        }  # fmt: skip
        env = split_environment(env, (Split.MAKE,) if split else (), str(TOOLS))
        began = time.monotonic()
        subprocess.run(["make", *arguments], cwd=top, env=env, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - began
