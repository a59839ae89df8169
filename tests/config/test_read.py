"""Which files make a config, how they merge, and what values come out."""

from __future__ import annotations

import pytest

from citgit.config.read import cit_paths, config_paths, read_cit, team_paths
from citgit.config.supported import unsupported
from citgit.errors import BadConfig
from citgit.model.job import After, Job, OnFailure, Requires


def test_the_paths_that_are_config() -> None:
    """The main files and split files, in the root or in .cit, and nothing else."""
    names = [
        "cit.toml",
        ".cit/jobs/lint.toml",
        "jobs/lint.toml",
        "jobs/deep/lint.toml",
        "jobs/README.md",
        "src/cit.toml",
        "team.toml",
        ".cit/team.toml",
        "agents/lab1.toml",
        "people/anna.toml",
        ".cit/people/anna.toml",
    ]
    assert cit_paths(names) == [".cit/jobs/lint.toml", "cit.toml", "jobs/lint.toml"]
    assert team_paths(names) == [
        ".cit/people/anna.toml",
        ".cit/team.toml",
        "agents/lab1.toml",
        "people/anna.toml",
        "team.toml",
    ]
    assert config_paths(iter(names)) == sorted([*cit_paths(names), *team_paths(names)])


def test_split_files() -> None:
    """A split file is the table of the job it is named after, or a piece of cit.toml."""
    config = read_cit(
        {
            "cit.toml": b'[job.check]\ncommand = ["make"]\n',
            "jobs/lint.toml": b'command = ["lint"]\n[source]\nrepo = "zlib"\n[after.check]\n',
            ".cit/jobs/many.toml": b'job.x.command = ["x"]\njob.y.command = ["y"]\nsource.zlib.url = "../zlib"\n',
            "README.md": b"not = TOML",
        }
    )
    assert list(config.job) == ["x", "y", "check", "lint"]
    assert config.job["lint"].source.repo == "zlib"
    assert config.job["lint"].after == {"check": After()}


def test_defined_twice() -> None:
    """Two definitions of one job are a fault that names both files."""
    with pytest.raises(BadConfig) as caught:
        read_cit({"cit.toml": b'[job.a]\ncommand = ["x"]', "jobs/a.toml": b'\ncommand = ["y"]\ncomand = 1'})
    assert caught.value.faults == ("jobs/a.toml:1: job.a: defined twice: also in cit.toml:1",)


@pytest.mark.parametrize(
    ("path", "content", "fault"),
    [
        ("jobs/a.toml", b'\ncommand = ["x"]\ntim = 1', "jobs/a.toml:3: job.a.tim: unknown key"),
        ("jobs/A.toml", b'command = ["x"]', 'jobs/A.toml:1: not a job name: "A"'),
        (
            "jobs/a.toml",
            b"job.a.command = ['x']\n[person.anna]",
            "jobs/a.toml:2: person: unknown key in this file; allowed: job, source",
        ),
        ("jobs/\x1b[31m.toml", b'command = ["x"]', r'"jobs/\x1b[31m.toml":1: not a job name: "\x1b[31m"'),
        ("jobs/a.toml", b"", "jobs/a.toml:1: job.a.command: missing or empty"),
    ],
)
def test_faults_in_split_files(path: str, content: bytes, fault: str) -> None:
    """They name the file and the line in it."""
    with pytest.raises(BadConfig) as caught:
        read_cit({"cit.toml": b"", path: content})
    assert caught.value.faults[0].startswith(fault)


def test_a_broken_file_hides_no_fault_of_another() -> None:
    """Faults of shape come from every file that can be read; references wait until all can."""
    with pytest.raises(BadConfig) as caught:
        read_cit({"cit.toml": b"[job.a]\ncomand = 1\nafter.lint = {}", "jobs/lint.toml": b"command ="})
    assert [fault.split(": ")[0] for fault in caught.value.faults] == ["cit.toml:2", "jobs/lint.toml:1"]
    assert caught.value.message == "2 faults in 2 files"


def test_units_and_enums_become_values() -> None:
    """Text with a unit becomes an integer, words become members, arrays become tuples."""
    job = read_cit(
        {
            "cit.toml": b'[job.a]\ncommand = ["x"]\nlimits.time = "2 min"\nrequires = { memory = "1 GiB", cpu = 2 }\n'
            b'after.b.on_failure = "run"\n[job.b]\ncommand = ["y"]\n'
        }
    ).job["a"]
    assert job.limits.time == 120
    assert job.requires == Requires(memory=2**30, cpu=2)
    assert job.after["b"].on_failure is OnFailure.RUN
    assert unsupported(job) == []


def test_extends_merges_before_defaults() -> None:
    """Tables merge key by key; arrays, single values, and values equal to a default replace."""
    config = read_cit(
        {
            "cit.toml": b"""
[job.a]
command = ["make"]
limits = { time = "1 min", attempts = 5 }
requires.tools = ["make", "cc"]
env.set = { A = "1", B = "2" }
keep.days = 7
[job.b]
extends = "a"
limits.attempts = 2
requires.tools = ["cc"]
env.set.B = "3"
[job.c]
extends = "b"
command = ["ninja"]
keep.days = 30
"""
        }
    )
    c = config.job["c"]
    assert c.command == ("ninja",)
    assert (c.limits.time, c.limits.attempts) == (60, 2)
    assert c.requires.tools == ("cc",)
    assert c.env.set == {"A": "1", "B": "3"}
    assert (config.job["b"].keep.days, c.keep.days) == (7, 30)
    assert (config.job["b"].command, config.job["a"].extends, c.extends) == (("make",), "", "b")


def test_a_byte_order_mark_is_no_fault() -> None:
    """Some editors begin files with one."""
    assert read_cit({"cit.toml": b'\xef\xbb\xbfjob.a.command = ["x"]'}).job == {"a": Job(command=("x",))}


def test_unsupported_lists_every_key() -> None:
    """Jobs that come in records are asked by the same table."""
    job = Job(requires=Requires(image="debian:12"))
    assert unsupported(job) == [
        "requires.image: not supported yet by this version; leave it out",
    ]
