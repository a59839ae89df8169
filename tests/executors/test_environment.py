"""A build sees what docs/environment.md lists, and nothing else of the worker's."""

import re
from pathlib import Path

import msgspec
import pytest

from citgit.errors import BadConfig
from citgit.executors.environment import Place, Subject, environment
from citgit.model.job import Env

DOCS = Path(__file__).parent.parent.parent / "docs" / "environment.md"
SUBJECT = Subject(
    build="0190a0a0-0000-7000-8000-000000000001", job="check", branch="main", commit="c" * 40, time=1700000000,
    cell={"cc": "gcc"}, parameters={"opt-level": 6, "fast": True},
)  # fmt: skip
PLACE = Place(
    log="/h/log",
    tools="/t",
    directory="/w",
    claim="a" * 40,
    node="lab1",
    cpus=2,
    user="anna",
    workspace="/w",
    home="/h",
    temporary="/t",
)
NODE = {"SSH_AUTH_SOCK": "/s", "GIT_DIR": "/g", "CCACHE_DIR": "/c", "TOKEN": "t", "PATH": "/n"}


def test_the_worker_keeps_its_own_variables() -> None:
    """Only what the job names is passed, and only if it is there."""
    env = environment(SUBJECT, PLACE, Env(pass_=("CCACHE_DIR", "ABSENT")), NODE)
    assert env["CCACHE_DIR"] == "/c"
    assert not {"SSH_AUTH_SOCK", "GIT_DIR", "TOKEN", "ABSENT"} & set(env)
    assert (env["CIT_MATRIX_CC"], env["CIT_PARAM_OPT_LEVEL"], env["CIT_PARAM_FAST"]) == ("gcc", "6", "true")
    assert (env["SOURCE_DATE_EPOCH"], env["CIT_CPUS"], env["HOME"], env["TMPDIR"]) == ("1700000000", "2", "/h", "/t")


def test_what_the_job_sets_wins() -> None:
    """A value in the job's table stands over the passed one and over the default."""
    env = environment(SUBJECT, PLACE, Env(set={"LANG": "de", "CCACHE_DIR": "x"}, pass_=("CCACHE_DIR",)), NODE)
    assert (env["LANG"], env["CCACHE_DIR"]) == ("de", "x")


def test_every_variable_is_documented() -> None:
    """docs/environment.md lists exactly these variables, beside PWD, which the shell adds."""
    listed = set(re.findall(r"`([A-Z_]+)`", "\n".join(re.findall(r"^\| `.*?\|", DOCS.read_text(), re.MULTILINE))))
    plain = msgspec.structs.replace(SUBJECT, cell={}, parameters={})
    assert set(environment(plain, PLACE, Env(), {})) | {"PWD"} == listed


@pytest.mark.parametrize("name", ["CIT_ATTEMPT", "CIT_X", "A=B", "", "A B", "1A", "A\n"])
def test_names_that_are_none_are_refused(name: str) -> None:
    """Neither citgit's own variables nor what no shell can name are set or passed."""
    with pytest.raises(BadConfig):
        environment(SUBJECT, PLACE, Env(set={name: "x"}), {})
    with pytest.raises(BadConfig):
        environment(SUBJECT, PLACE, Env(pass_=(name,)), {name: "x"})


def test_a_value_holds_no_nul() -> None:
    """A NUL would end the variable early; it is refused with its name."""
    with pytest.raises(BadConfig, match="NUL in the value of 'A'"):
        environment(SUBJECT, PLACE, Env(set={"A": "x\0y"}), {})
