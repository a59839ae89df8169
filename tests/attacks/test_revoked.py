"""Threat: a key that was lost. Whoever has it signs in the past; what it had signed before it was revoked stays."""

from __future__ import annotations

import pytest
from stage import ANNA, LAB1, Stage

from citgit.model.record import Cancel, Claim, Outcome, Result, Revoked
from citgit.model.request import Request

LONG_AGO = 1_000_000_000


@pytest.fixture
def stage() -> Stage:
    """A finished build, one that waits, and then lab1's and anna's keys were revoked; both are in the team still."""
    made = Stage()
    made.finished, made.waiting = made.request(), made.request()  # type: ignore[attr-defined]
    made.finish(made.finished)  # type: ignore[attr-defined]
    made.before = made.tip(made.refs.policy)  # type: ignore[attr-defined]
    keys = [made.actor(name).signer.public_key for name in (LAB1, ANNA)]
    made.policy(revoked=tuple(Revoked(key=key, why="lost") for key in keys))
    return made


def test_a_record_that_is_backdated(stage: Stage) -> None:
    """It cites the policy of before, and a time before any revocation: void for readers, refused by a server."""
    waiting, before = stage.waiting, stage.before  # type: ignore[attr-defined]
    ref = stage.refs.build("default", waiting)
    claim = stage.record(ref, Claim(attempt=1), LAB1, policy=before, time=LONG_AGO)
    denied = stage.denied(ref, claim)
    assert denied is not None
    assert "agent:lab1 is not agent" in str(denied)
    oid = stage.place(ref, claim)
    stage.write(ref, Result(claim=oid, outcome=Outcome.PASSED), LAB1, policy=before, time=LONG_AGO)
    stage.write(ref, Cancel(), ANNA, policy=before, time=LONG_AGO)
    found = stage.build(waiting)
    assert (found.state, [bool(one.void) for one in found.entries]) == ("waiting", [False, True, True, True])


def test_a_request_that_is_backdated(stage: Stage) -> None:
    """A new build by a revoked key is none, whatever it says when it was asked for."""
    plain = stage.build(stage.waiting).request  # type: ignore[attr-defined]
    assert isinstance(plain, Request)
    ref = stage.refs.build("default", stage.entropy.build_id())
    data = stage.record(ref, plain, ANNA, policy=stage.before, time=LONG_AGO)  # type: ignore[attr-defined]
    assert stage.denied(ref, data) is not None
    stage.place(ref, data)
    assert stage.build(ref.rpartition("/")[2]).broken


def test_what_was_sealed_stays(stage: Stage) -> None:
    """The revoking policy had read the finished build: its request, claim and result count for ever."""
    found = stage.build(stage.finished)  # type: ignore[attr-defined]
    assert (found.outcome, found.revoked, any(one.void for one in found.entries)) == (Outcome.PASSED, False, False)
