"""From `pip install` to the first result: two commands, on a machine with nothing set up."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.heavy
def test_a_newcomer_needs_two_commands_and_a_minute(tmp_path: Path) -> None:
    """A wheel in a fresh environment, an empty HOME, no git identity, no key: init and run end with a green build."""
    wheels, home, project = tmp_path / "wheels", tmp_path / "home", tmp_path / "project"
    home.mkdir()
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)]
    subprocess.run(wheel, check=True, capture_output=True)
    shutil.copytree(ROOT / "sample-config-repo" / "hello", project)
    env = {"HOME": str(home), "PATH": f"{tmp_path}/env/bin:/usr/local/bin:/usr/bin:/bin"}

    def do(*argv: str) -> str:
        done = subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout

    do("git", "init", "-q", "-b", "main")
    do("git", "add", "--all")
    do("git", "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-q", "-m", "one")
    venv.create(tmp_path / "env", with_pip=True)
    began = time.monotonic()
    (made,) = wheels.glob("*.whl")
    do("python", "-m", "pip", "-q", "--disable-pip-version-check", "install", str(made))
    do("cit", "init")
    assert "passed" in do("cit", "run")
    assert time.monotonic() - began < 60
    # what the wheel must bring besides code
    assert (project / ".git" / "hooks" / "pre-push").is_file()
    assert "check@main" in do("git", "cit", "status")
