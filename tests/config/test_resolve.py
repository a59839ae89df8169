"""From a job's name to commands: cells, parameters, fields, and what a push selects."""

from __future__ import annotations

import msgspec
import pytest

from citgit.config.read import read_cit
from citgit.config.resolve import resolve, selected_by_push
from citgit.errors import NotFound, UsageError
from citgit.model.job import CitToml, Job, ResolvedJob, Value


def config(text: str) -> CitToml:
    """The config in `text`."""
    return read_cit({"cit.toml": text.encode()})


MATRIX = """
[job.a]
command = ["make", "CC={matrix.cc}", "{matrix.cc} {matrix.opt}", "{other} {matrix}"]
matrix = { opt = ["-O2", "-O0"], cc = ["gcc", "{matrix.opt}"] }
env.set = { OUT = "out-{matrix.opt}" }
"""


def test_cells() -> None:
    """One build for each combination, ordered by name; what is filled in is not filled again."""
    jobs = resolve(config(MATRIX), "a", parameters={})
    assert [job.cell for job in jobs] == [
        {"cc": cc, "opt": opt} for cc in ("gcc", "{matrix.opt}") for opt in ("-O2", "-O0")
    ]
    assert jobs[0].job.command == ("make", "CC=gcc", "gcc -O2", "{other} {matrix}")
    assert jobs[0].job.env.set == {"OUT": "out--O2", "CIT_MATRIX_CC": "gcc", "CIT_MATRIX_OPT": "-O2"}
    assert jobs[2].job.command[1] == "CC={matrix.opt}"
    assert all(job.job.matrix == {} and job.job.extends == "" for job in jobs)


def test_the_order_survives_sorted_keys() -> None:
    """A config that went through a record with sorted keys gives the same cells in the same order."""
    written = config(MATRIX)
    again = msgspec.json.decode(msgspec.json.encode(written, order="sorted"), type=CitToml)
    assert [job.cell for job in resolve(again, "a", parameters={})] == [
        job.cell for job in resolve(written, "a", parameters={})
    ]


def test_a_resolved_job_survives_json() -> None:
    """What is pinned in a request reads back as the same value."""
    (job, *_) = resolve(config(MATRIX), "a", parameters={})
    assert msgspec.json.decode(msgspec.json.encode(job), type=ResolvedJob) == job


PARAMETERS = """
[job.a]
command = ["run", "{parameter.level}", "{parameter.fast}", "{parameter.my-name}"]
[job.a.parameters]
level = { type = "integer", default = 6, choices = [1, 6, -2] }
fast = { type = "boolean", default = false }
my-name = {}
"""


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({}, ("run", "6", "false", "")),
        ({"level": 1, "fast": True, "my-name": "a b; c"}, ("run", "1", "true", "a b; c")),
        ({"level": "-2", "fast": "true"}, ("run", "-2", "true", "")),
    ],
)
def test_parameters(given: dict[str, Value], command: tuple[str, ...]) -> None:
    """Defaults, typed values, and the text of a command line; each stays one argument."""
    (resolved,) = resolve(config(PARAMETERS), "a", parameters=given)
    assert resolved.job.command == command
    assert resolved.job.env.set == {
        "CIT_PARAM_LEVEL": command[1],
        "CIT_PARAM_FAST": command[2],
        "CIT_PARAM_MY_NAME": command[3],
    }


def test_parameters_are_kept_typed() -> None:
    """The request records values, not their text."""
    (resolved,) = resolve(config(PARAMETERS), "a", parameters={"level": "1"})
    assert resolved.parameters == {"fast": False, "level": 1, "my-name": ""}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"level": 7}, "job 'a': parameter 'level': found 7; allowed: 1, 6, -2"),
        ({"level": "x"}, "job 'a': parameter 'level': found \"x\"; allowed: 1, 6, -2"),
        ({"level": True}, "job 'a': parameter 'level': found true; allowed: 1, 6, -2"),
        ({"level": "1" * 20}, f"job 'a': parameter 'level': found \"{'1' * 20}\"; allowed: 1, 6, -2"),
        ({"fast": "yes"}, "job 'a': parameter 'fast': found \"yes\"; allowed: type boolean"),
        ({"fast": 1}, "job 'a': parameter 'fast': found 1; allowed: type boolean"),
        ({"my-name": 3}, "job 'a': parameter 'my-name': found 3; allowed: type string"),
        (
            {"levl": 1},
            "job 'a': unknown parameter \"levl\"; did you mean 'level'? known: fast, level, my-name",
        ),
    ],
)
def test_wrong_parameters(given: dict[str, Value], message: str) -> None:
    """The message says what is allowed."""
    with pytest.raises(UsageError) as caught:
        resolve(config(PARAMETERS), "a", parameters=given)
    assert caught.value.message == message


def test_a_parameter_without_default() -> None:
    """It must be given, and the hint says how."""
    toml = '[job.a]\ncommand = ["x"]\nparameters.n.type = "integer"'
    with pytest.raises(UsageError, match="has no default") as caught:
        resolve(config(toml), "a", parameters={})
    assert caught.value.hint == "add --set n=VALUE"
    assert resolve(config(toml), "a", parameters={"n": "3"})[0].parameters == {"n": 3}


def test_jobs_that_cannot_be_built() -> None:
    """An unknown job, and one that is only extended."""
    toml = '[job.base]\n[job.check]\nextends = "base"\ncommand = ["x"]'
    with pytest.raises(NotFound, match="did you mean 'check'"):
        resolve(config(toml), "chek", parameters={})
    with pytest.raises(UsageError, match="can only be extended"):
        resolve(config(toml), "base", parameters={})


PUSH = """
[job.base]
trigger.push = ["main", "release/*"]
[job.all]
extends = "base"
command = ["x"]
[job.src]
extends = "base"
command = ["x"]
trigger.paths = ["src/**", "!**/*.md"]
[job.every]
command = ["x"]
trigger.push = ["*"]
[job.manual]
command = ["x"]
"""


@pytest.mark.parametrize(
    ("branch", "changed", "jobs"),
    [
        ("main", None, ["all", "src", "every"]),
        ("main", ["src/a.c"], ["all", "src", "every"]),
        ("main", ["src/a.md", "b.c"], ["all", "every"]),
        ("main", ["src/a.md", "src/b.c"], ["all", "src", "every"]),
        ("main", [], ["all", "every"]),
        ("release/1", None, ["all", "src", "every"]),
        ("release/1/2", None, ["every"]),
        ("topic", None, ["every"]),
    ],
)
def test_selected_by_push(branch: str, changed: list[str] | None, jobs: list[str]) -> None:
    """By branch and by paths; unknown paths count as touched; a job without a command never starts."""
    assert selected_by_push(config(PUSH), branch, changed) == jobs


def test_nothing_else_is_a_template() -> None:
    """Fields outside the command and env.set stay as they are."""
    toml = (
        '[job.a]\ncommand = ["x"]\nmatrix.cc = ["gcc"]\ndescription = "{matrix.cc}"\nkeep.artifacts = ["{matrix.cc}"]'
    )
    (resolved,) = resolve(config(toml), "a", parameters={})
    assert resolved.job.description == "{matrix.cc}"
    assert resolved.job.keep.artifacts == ("{matrix.cc}",)
    assert isinstance(resolved.job, Job)
