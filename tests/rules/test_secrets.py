"""Who may get a secret of a node: nothing that a request says may steer the command without the owner's word."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from citgit.model.job import After, Also, Env, Job, Parameter, Source, Where
from citgit.model.record import Cause, Config, PinnedSource, Request
from citgit.model.secret import Secret, Secrets
from citgit.rules.secrets import meant, refusal

SECRET = Secret(name="KEY", value="hush-hush", repository="r", jobs=("release*",))
JOB = Job(
    command=("x",), env=Env(secrets=("KEY",)), parameters={"level": Parameter(default=6)},
    source=Source(also=(Also(repo="data", ref="stable", at="d"),)),
)  # fmt: skip
REQUEST = Request(
    job="release", branch="main", config=Config(branch="main", commit="1" * 40), definition=JOB, cause=Cause(),
    sources=(
        PinnedSource(ref="refs/heads/main", commit="1" * 40),
        PinnedSource(repo="data", url="u", ref="refs/heads/stable", commit="2" * 40, at="d"),
    ), parameters={"level": 6},
)  # fmt: skip


def job(**changes: Any) -> Request:
    """The request, with another job."""
    return replace(REQUEST, definition=replace(JOB, **changes))


def test_the_branch_that_counts_and_defaults() -> None:
    """What the docs call ordinary."""
    assert refusal(SECRET, REQUEST, "main") == ""


FIRST, SECOND = REQUEST.sources
STEERED = {
    "another config branch": replace(REQUEST, config=Config(branch="dev", commit="1" * 40)),
    "config of another repository": replace(REQUEST, config=Config(repo="x", branch="main", commit="1" * 40)),
    "another branch by name": replace(REQUEST, branch="dev"),
    "another source branch": replace(REQUEST, sources=(replace(FIRST, ref="refs/heads/dev"), SECOND)),
    "a tag": replace(REQUEST, sources=(replace(FIRST, ref="refs/tags/main"), SECOND)),
    "another source at any revision": job(source=Source(also=(Also(repo="data", at="d"),))),
    "an alias": job(place=Where(as_="alias:words")),
    "a parameter": replace(REQUEST, parameters={"level": 9}),
    "an unknown parameter": replace(REQUEST, parameters={"more": 9}),
    "files of another build": job(after={"lib": After(artifacts=("*",))}),
}


@pytest.mark.parametrize("how", STEERED)
def test_what_could_steer_the_command_is_refused(how: str) -> None:
    """Unless the owner says so, each by itself."""
    assert refusal(SECRET, STEERED[how], "main")


def test_what_the_owner_allows() -> None:
    """By branches, aliases, parameters, and files of other builds."""
    assert not refusal(replace(SECRET, aliases=("words",)), STEERED["an alias"], "main")
    assert not refusal(replace(SECRET, parameters=("level",)), STEERED["a parameter"], "main")
    assert not refusal(replace(SECRET, upstream=True), STEERED["files of another build"], "main")
    assert not refusal(replace(SECRET, branches=("main",)), REQUEST, "trunk")


def test_without_a_branch_that_counts_nobody_gets_any() -> None:
    """A worker that has not read a policy yet gives nothing."""
    assert refusal(SECRET, REQUEST, "")
    assert refusal(SECRET, REQUEST, "trunk")


def test_an_entry_is_of_one_repository_and_some_jobs() -> None:
    """Others do not exist."""
    table = Secrets(secret=(SECRET,))
    assert meant(table, "KEY", "r", "release-2") == SECRET
    assert meant(table, "KEY", "r", "check") is None
    assert meant(table, "KEY", "other", "release") is None
    assert meant(table, "OTHER", "r", "release") is None
