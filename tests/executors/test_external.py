"""An executor in another language is asked by its protocol, and told what it did wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from citgit.errors import BadName, Errored
from citgit.executors import executor
from citgit.executors.external import ExternalExecutor
from citgit.logs.capture import Capture
from citgit.testing.executors import Bench

Install = Callable[[str], ExternalExecutor]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Makes `cit-executor-try` from the body of a shell script."""

    def make(body: str) -> ExternalExecutor:
        (tmp_path / "bin").mkdir(exist_ok=True)
        program = tmp_path / "bin" / "cit-executor-try"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return ExternalExecutor("try", Capture(), str(tmp_path / "bin"))

    return make


@pytest.mark.parametrize("name", ["../x", "", "A", "x y", "-x", "x" * 200])
def test_names_become_no_paths(name: str) -> None:
    """Only a name can become a part of a program's name."""
    with pytest.raises(BadName):
        executor(name, Capture())


def test_built_in_names_come_first(install: Install) -> None:
    """A program on PATH cannot stand in for a built-in executor."""
    assert not isinstance(executor("bwrap", Capture()), ExternalExecutor)
    assert executor("slurm", Capture()).name == "slurm"


def test_a_program_that_is_missing_fails_the_probe(tmp_path: Path) -> None:
    """Whoever asks is told which program to install."""
    probe = ExternalExecutor("none", Capture(), str(tmp_path)).probe()
    assert (probe.ok, probe.reason) == (False, "no program 'cit-executor-none' on PATH")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo oops >&2; exit 3", "ended with status 3: oops"),
        ("exit 3", "it said nothing on stderr"),
        ("echo hello", "did not print an answer"),
        ("true", "did not print an answer"),
        ("echo '[]'", "did not print an answer"),
        ("echo '{\"version\": 2}'", "speaks version 2, not 1"),
        ("echo '{}'", "speaks version None"),
        ('echo \'{"version": 1, "ended": {"exit": {"status": "x"}}}\'', "did not print an answer"),
        ('echo \'{"version": 1, "error": "no queue"}\'', "cannot poll: no queue"),
        ("head -c 3000000 /dev/zero", "did not print an answer"),
    ],
)
def test_wrong_answers_are_told(install: Install, tmp_path: Path, body: str, words: str) -> None:
    """The error names the program, the verb and the fault; nothing is guessed."""
    bench = Bench(lambda: install("true"), tmp_path)
    plan = bench.plan("true")
    install("echo '{\"version\": 1}'").start(plan)
    with pytest.raises(Errored, match=words) as caught:
        install(body).poll(plan)
    assert "cit-executor-try" in caught.value.message
    assert caught.value.hint


def test_it_is_asked_as_documented(install: Install, tmp_path: Path) -> None:
    """Verb and directory are arguments, the whole plan is on stdin, and a script of it lies in the directory."""
    plan = Bench(lambda: install("true"), tmp_path).plan("printf", "%s", "it's")
    install(f'cat >"{tmp_path}/question"; echo "$@" >"{tmp_path}/words"; echo \'{{"version": 1}}\'').start(plan)
    question = json.loads((tmp_path / "question").read_text())
    assert (question["version"], question["verb"]) == (1, "start")
    assert question["plan"]["command"] == ["printf", "%s", "it's"]
    assert (tmp_path / "words").read_text() == f"start {plan.directory}\n"
    script = (Path(plan.directory) / "command.sh").read_text()
    assert script.startswith(f"#!/bin/sh\ncd '{plan.cwd}' && exec env -i PATH=")
    assert script.endswith("""printf %s 'it'"'"'s'\n""")


def test_a_stop_that_did_not_arrive_is_repeated(install: Install, tmp_path: Path) -> None:
    """A worker that dies between the decision and the deed does not leave the build running for ever."""
    plan = Bench(lambda: install("true"), tmp_path).plan("true")
    install("echo '{\"version\": 1}'").start(plan)
    with pytest.raises(Errored):
        install("exit 1").stop(plan, "not wanted")
    install(f'echo "$1" >>"{tmp_path}/verbs"; echo \'{{"version": 1}}\'').poll(plan)
    assert (tmp_path / "verbs").read_text() == "stop\npoll\n"
