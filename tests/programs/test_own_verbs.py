"""Any executable `cit-VERB` on PATH is a verb: called as it is, listed, completed; never in the place of a real one."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from citgit.programs.cit import PROGRAMS, VERBS, cit, main

TOP = Path(__file__).parent.parent.parent


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of PATH with a verb of one's own, one that is not executable, and one that is there already."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("cit-hello", "cit-show", "cit-executor-mine", "cit-notify-mine", "cit-plain"):
        (folder / name).write_text('#!/bin/sh\necho "$0 in $PWD:"; printf "[%s]" "$@"; exit 7\n')
        (folder / name).chmod(0o644 if name == "cit-plain" else 0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """`cit` in a process of its own, which the program replaces."""
    argv = (sys.executable, "-m", "citgit.programs.cit", *argv)
    return subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=False)


def test_a_program_on_path_is_a_verb(tools: Path) -> None:
    """Its arguments, options and `--help` too, reach it as they are; its directory and status are its own."""
    done = run("-C", str(tools), "hello", "--help", "a  b", "--", "-x", "")
    assert done.stdout == f"{tools}/cit-hello in {tools}:\n[--help][a  b][--][-x][]"
    assert (done.returncode, done.stderr) == (7, "")


def test_it_is_listed_and_completed(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the verbs of citgit, whose names it cannot take; citgit's own programs are no verbs for people."""
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert f"{tools}/cit-hello" in said.replace("\n", "").replace(" ", "")
    assert [name for name in ("cit-show", "cit-plain", "-mine", "cit-claim") if name in said] == []
    offered = ShellComplete(cit, {}, "cit", "_CIT_COMPLETE").get_completions([], "h")
    assert [one.value for one in offered] == ["hello"]
    command = cit.get_command(click.Context(cit), "show")
    assert command is not None
    assert command.name == "show"


def test_what_is_none_is_no_verb(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not executable, a path, nothing near: usage, and a hint."""
    for name in ("plain", "../tools/cit-hello", "helo", "x" * 4096):
        assert main([name]) == 2
        said = capsys.readouterr().err
        assert "no verb" in said
        assert len(said) < 300


def test_the_programs_of_citgit_are_known() -> None:
    """One that is added is either a verb for people or said to be none."""
    scripts = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["scripts"]
    names = {name.removeprefix("cit-") for name in scripts if name.startswith("cit-") and "-notify-" not in name}
    assert names <= PROGRAMS
    assert not PROGRAMS & set(VERBS)
