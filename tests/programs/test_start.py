"""What a verb loads and starts before it answers: nothing that it does not need, so that it answers at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "pygit2", "git", "paramiko", "jinja2", "rich", "psutil", "watchfiles", "cronsim", "tomli",
    "uuid_utils", "platformdirs", "cryptography", "asyncio", "multiprocessing",
}  # fmt: skip
READS = {"cryptography"}
MAY_LOAD = {
    "--help": set(), "--version": set(), "status": READS, "show": READS, "why": READS, "verify": READS, "log": READS,
    "policy show": {*READS, "tomli", "cronsim", "git"}, "agent list": {*READS, "tomli", "cronsim"},
    "run check --pool default --no-follow": {*READS, "tomli", "cronsim", "uuid_utils"},
    "cancel": READS,
}  # fmt: skip
"""Verb -> the large modules that it may load, over a state repository on this machine."""

_TELL = """
import json, sys
from citgit.programs.cit import main
status = main(json.loads(sys.argv[1]))
print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)
sys.exit(status)
"""
_COUNTING = '#!/bin/sh\necho "$*" >>"$CIT_TEST_CALLS"\nexec {git} "$@"\n'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A checkout whose one build waits, and the environment of its verbs; git is counted."""
    home = tmp_path_factory.mktemp("start")
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "CIT_"))} | {
        "HOME": str(home), "CITGIT_HOME": str(home / "citgit"), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "anna@example.org", "GIT_COMMITTER_NAME": "anna",
        "GIT_COMMITTER_EMAIL": "anna@example.org", "CIT_TEST_CALLS": str(home / "calls"),
        "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    (home / "bin").mkdir()
    (home / "bin" / "git").write_text(_COUNTING.format(git=shutil.which("git")))
    (home / "bin" / "git").chmod(0o755)
    top = home / "project"
    top.mkdir()
    (top / "cit.toml").write_text('[job.check]\ncommand = ["true"]\n')
    for argv in (
        ["git", "init", "-q", "-b", "main"], ["git", "add", "cit.toml"], ["git", "commit", "-q", "-m", "first"],
        [*_cit(), "init", "--name", "anna"],
        [*_cit(), "run", "check", "--pool", "default", "--no-follow"],
    ):  # fmt: skip
        subprocess.run(argv, cwd=top, env=env, check=True, capture_output=True)
    return top, env


def _cit() -> list[str]:
    return [sys.executable, "-m", "citgit.programs.cit"]


@pytest.mark.parametrize("verb", MAY_LOAD)
def test_a_verb_loads_what_it_needs(site: tuple[Path, dict[str, str]], verb: str) -> None:
    """A library of a tenth of a second is loaded by those verbs alone that use it."""
    top, env = site
    argv = [sys.executable, "-c", _TELL, json.dumps(verb.split())]
    done = subprocess.run(argv, cwd=top, env=env, capture_output=True, text=True, check=False)
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert done.returncode in (0, 2, 3, 75), done.stderr
    assert loaded & HEAVY <= MAY_LOAD[verb]


@pytest.mark.parametrize(
    ("verb", "most"), [("status", 2), ("show", 2), ("why", 2), ("run check --pool default --no-follow", 6)]
)
def test_a_verb_starts_few_programs(site: tuple[Path, dict[str, str]], verb: str, most: int) -> None:
    """Where the state is on this machine, git is asked where we are and what is configured, and little else."""
    top, env = site
    calls = Path(env["CIT_TEST_CALLS"])
    calls.unlink(missing_ok=True)
    done = subprocess.run([*_cit(), *verb.split()], cwd=top, env=env, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 5, 75), done.stderr
    started = calls.read_text().splitlines()
    assert len(started) <= most, "\n".join(started)
