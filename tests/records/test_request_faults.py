"""What a request may not hold: names in it become ids and paths elsewhere, whoever wrote it."""

from __future__ import annotations

import msgspec
import pytest

from citgit.model.job import Job
from citgit.model.request import HIDDEN_COMMIT, TIP, Cause, CauseKind, Config, PinnedSource, Request
from citgit.records.request import SPEC
from citgit.records.spec import request_faults

OID = "a" * 40
GOOD = Request(
    job="check", branch="main", config=Config(branch="main", commit=OID), definition=Job(command=("true",)),
    sources=(PinnedSource(ref="refs/heads/main", commit=OID),), cause=Cause(),
)  # fmt: skip


def places(*at: str) -> Request:
    """A request that checks sources out there."""
    return msgspec.structs.replace(
        GOOD, sources=tuple(PinnedSource(ref="refs/heads/main", commit=OID, at=one) for one in at)
    )


@pytest.mark.parametrize("at", [(".",), (".", "data"), (".", "a/b", "a/c"), (".", "data", "data2")])
def test_sources_below_the_workspace(at: tuple[str, ...]) -> None:
    """The first is the workspace, the others have folders of their own."""
    assert list(request_faults(places(*at))) == []


@pytest.mark.parametrize(
    "at",
    [
        (), ("data",), ("",), (".", "."), (".", ""), (".", "../x"), (".", "a/../../x"), (".", "/etc"), (".", "a//b"),
        (".", ".git"), (".", "a/.GIT/hooks"), (".", "a/"), (".", "./a"), (".", "a\nb"), (".", "a\0b"), (".", "a", "a"),
        (".", "a", "a/b"), (".", "a/b", "a"), (".", "x" * 5000), (".", "~/../..", "b"), (".", "git~1"), (".", "\udcff"),
    ],
)  # fmt: skip
def test_sources_elsewhere(at: tuple[str, ...]) -> None:
    """Out of the workspace, into git's own folder, over the first source or into each other."""
    assert any(one.startswith("sources") for one in request_faults(places(*at)))


def test_a_promise_names_a_build() -> None:
    """What is looked up by it must be an id."""
    for build in ("", "junk", "../x", "0" * 36):
        promised = msgspec.structs.replace(GOOD, cause=Cause(kind=CauseKind.PROMISE, build=build))
        assert any(one.startswith("cause.build") for one in request_faults(promised)), build


@pytest.mark.parametrize(
    ("commit", "private", "words"),
    [(OID, "", " at aaaaaaaaaaaa"), (HIDDEN_COMMIT, "age…", ", private"), (TIP, "", ", at the tip when it starts")],
)
def test_the_subject_says_what_is_built(commit: str, private: str, words: str) -> None:
    """A commit, or why there is none to be seen: hidden is not the same as not known yet."""
    source = PinnedSource(ref="refs/heads/main", commit=commit)
    assert SPEC.subject(msgspec.structs.replace(GOOD, sources=(source,), private=private)) == f"check on main{words}"
