"""Proof that a defence is needed: the tree is copied, the defence patched out of the copy, a check run there.

The product has no switches for this. A patch names the exact text that it replaces, and fails loudly when that
text is not there exactly once: whoever changes a defence looks at its proof too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_COPIED = ("citgit", "tests", "docs", "schemas", "hooks", "sample-config-repo", "pyproject.toml")
SIMULATION = ("-m", "citgit.testing.simulation")


@dataclass(frozen=True, slots=True)
class Patch:
    """Text of one file of the tree, and what stands in its place in the copy."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """The tree without one defence; `command` (arguments of Python) must fail there, saying `words`."""

    name: str
    patches: tuple[Patch, ...]
    command: tuple[str, ...]
    words: str


def copy(target: Path, patches: Sequence[Patch]) -> None:
    """The tree in `target`, patched. Raises AssertionError if a patch does not fit the source as it is now."""
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, target / name)
    for patch in patches:
        path = target / patch.file
        text = path.read_text()
        found = text.count(patch.old)
        assert found == 1, f"{patch.file} holds the text of a mutation {found} times, not once:\n{patch.old}"
        path.write_text(text.replace(patch.old, patch.new))


def run(folder: Path, command: Sequence[str], *, timeout: float = 300) -> tuple[int, str]:
    """Runs Python with these arguments on the copy; the exit status and all that was printed."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    where = "import citgit, sys; sys.exit(not citgit.__file__.startswith(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", where, str(folder)], cwd=folder, env=environment, check=True)
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, timeout=timeout, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


def prove(mutant: Mutant, folder: Path) -> None:
    """Asserts that the mutant is noticed, and for the reason that it should be."""
    copy(folder, mutant.patches)
    status, said = run(folder, mutant.command)
    assert status == 1, f"without {mutant.name} the check passes (exit {status}):\n{said[-3000:]}"
    assert mutant.words in said, f"without {mutant.name} the check fails for another reason:\n{said[-3000:]}"
