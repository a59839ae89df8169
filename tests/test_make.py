"""What the Makefile does with what it calls: when tests are tried again in CI, what `make soak` leaves out."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from services import ROOT

PROGRAM = """\
#!/bin/sh
echo "$(basename "$0") $*" >>{folder}/calls
case $* in *--last-failed*) exit 0 ;; esac
exit {status}
"""


def make(folder: Path, *argv: str, status: int = 0) -> tuple[int, list[str]]:
    """make's own status, and what it called; each program ends with `status`, but the second try of tests with 0."""
    for name in ("pytest", "python"):
        (folder / name).write_text(PROGRAM.format(folder=folder, status=status))
        (folder / name).chmod(0o755)
    (folder / "installed").touch()
    (folder / "calls").write_text("")
    program = shutil.which("make")
    assert program
    env = {key: value for key, value in os.environ.items() if key not in ("CI", "MAKEFLAGS", "CAMPAIGNS")}
    done = subprocess.run(
        [program, "-C", str(ROOT), f"BIN={folder}", f"INSTALLED={folder}/installed", *argv], env=env,
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode, (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    ("status", "calls", "ended"), [(0, 1, 0), (1, 2, 0), (2, 1, 2), (3, 1, 2), (4, 1, 2), (5, 1, 2)]
)
def test_only_failed_tests_are_tried_again(tmp_path: Path, status: int, calls: int, ended: int) -> None:
    """In CI, after status 1: not if pytest was interrupted, broke, was called wrongly or found no test."""
    assert make(tmp_path, "heavy", "CI=true", status=status)[0] == ended
    called = (tmp_path / "calls").read_text().splitlines()
    assert len(called) == calls
    assert "--max-worker-restart 1000" in called[0]
    assert all("-m heavy and not soak" in one for one in called)


def test_nothing_is_tried_again_elsewhere(tmp_path: Path) -> None:
    """A person sees what failed at once."""
    status, called = make(tmp_path, "heavy", status=1)
    assert (status, len(called)) == (2, 1)


def test_some_campaigns_alone(tmp_path: Path) -> None:
    """Who names campaigns wants those, not the simulated histories."""
    assert make(tmp_path, "soak", "CAMPAIGNS=steps power")[1] == ["python tests/faults/soak.py steps power"]
    both = ["python -m citgit.testing.simulation --count 7 --json", "python tests/faults/soak.py"]
    assert [one.strip() for one in make(tmp_path, "soak", "TRACES=7")[1]] == both
