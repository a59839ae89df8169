"""What a request may not hold: names in it become ids and paths elsewhere, whoever wrote it."""

from __future__ import annotations

import msgspec
import pytest

from citgit.model.job import Job
from citgit.model.request import Cause, CauseKind, Config, PinnedSource, Request
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
