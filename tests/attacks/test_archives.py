"""Threat: somebody writes an archive entry first, or changes one. The end that a build really had is what is read."""

from __future__ import annotations

import pytest
from chains import request
from stage import ANNA, CARA, EVE, LAB1, LAB2, Stage, team

from citgit.errors import Refused
from citgit.flows.archive import disputes
from citgit.flows.audit import audit
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.flows.restore import begin, push_back, release
from citgit.interfaces import Entry, Oid
from citgit.model.build import Build
from citgit.model.record import Cancel, Cause, CauseKind, Claim, Observed, Outcome, Promise, Result
from citgit.rules.ids import promise_id

REQUEST, CLAIM, END = 0, 1, -1


@pytest.fixture
def stage() -> Stage:
    """A repository with its root policy."""
    return Stage()


def ended(stage: Stage) -> tuple[str, list[Oid]]:
    """A build that lab1 built, with its records, not archived yet."""
    build = stage.request()
    stage.finish(build)
    return build, list(stage.chain(stage.refs.build("default", build)))


def read(stage: Stage, build: str) -> Build | None:
    """What a reader sees who comes for the first time."""
    state = stage.client()
    return Repository(state, poll(state)).find(build)


@pytest.mark.parametrize("at", [REQUEST, CLAIM])
def test_an_entry_without_an_end_is_none(stage: Stage, at: int) -> None:
    """A liar is first: the build is folded all the same, its ref goes only then, and readers see how it ended."""
    build, records = ended(stage)
    stage.lie({build: records[at]})
    assert stage.fold() == [build]
    assert stage.tip(stage.refs.build("default", build)) is None
    found = read(stage, build)
    assert found is not None
    assert (found.tip, found.outcome) == (records[END], Outcome.PASSED)
    reader = stage.client()
    assert [one.tip for one in Repository(reader, poll(reader)).archived()] == [records[END]]


@pytest.mark.parametrize("at", [REQUEST, CLAIM])
def test_an_entry_that_was_changed_is_read_as_it_was(stage: Stage, at: int) -> None:
    """Nobody takes back an end by pointing the archive elsewhere; verify tells of it."""
    build, records = ended(stage)
    assert stage.fold() == [build]
    lie = stage.lie({build: records[at]})
    found = read(stage, build)
    assert found is not None
    assert found.tip == records[END]
    reader = stage.client()
    repository = Repository(reader, poll(reader))
    assert repository.is_archived("default", build)
    assert any(lie[:12] in one.fault for one in audit(repository))
    stage.place(stage.refs.build("default", build), stage.data(records[REQUEST]))  # a late copy of the request
    assert stage.fold() == []
    assert stage.tip(stage.refs.build("default", build)) is None


def test_an_entry_that_was_dropped_is_put_back(stage: Stage) -> None:
    """Whoever saw the entry goes by it, starts no late copy of the build, and puts it back for those who come later."""
    build, records = ended(stage)
    other, others = ended(stage)
    assert sorted(stage.fold()) == sorted([build, other])
    ref = stage.refs.build("default", build)
    assert Repository(stage.state, poll(stage.state)).is_archived("default", build)
    stage.lie({other: others[END]}, drop=build)
    stage.place(ref, stage.data(records[REQUEST]))
    assert Repository(stage.state, poll(stage.state)).is_archived("default", build)
    assert stage.fold() == [build]
    assert stage.tip(ref) == records[REQUEST], "it goes only when the entry is there"
    assert stage.fold() == []
    assert stage.tip(ref) is None
    found = read(stage, build)
    assert found is not None
    assert (found.tip, found.outcome) == (records[END], Outcome.PASSED)


def test_an_entry_of_a_build_that_a_later_policy_made_void_is_read_as_it_was(stage: Stage) -> None:
    """That it was archived counts, whatever the newest entry says: it reads errored (revoked), and is over."""
    build, records = ended(stage)
    assert stage.fold() == [build]
    agents = {name: one for name, one in stage.policies.tip.team.agent.items() if name != "lab1"}
    stage.policy(team(agent=agents), seal=False)
    stage.lie({build: records[CLAIM]}, LAB2)
    found = read(stage, build)
    assert found is not None
    assert (found.tip, found.outcome, found.revoked) == (records[END], Outcome.ERRORED, True)


@pytest.mark.parametrize("mode", [0o160000, 0o100644])
def test_an_entry_that_cannot_be_read_stops_nobody(stage: Stage, mode: int) -> None:
    """A `tip` that is another repository's commit, or a huge file, names nothing: the build is folded all the same."""
    build, records = ended(stage)
    huge = stage.host.objects.write("blob", b"x" * (1 << 25))
    stage.lie({build: records[CLAIM]}, LAB2, tip=Entry("tip", mode, "1" * 40 if mode == 0o160000 else huge))
    assert stage.fold() == [build]
    found = read(stage, build)
    assert found is not None
    assert found.tip == records[END]


def test_a_promise_is_not_kept_by_a_liar_s_entry(stage: Stage) -> None:
    """What a build promised does not exist because an archive says so."""
    first = stage.entropy.build_id()
    cause = Cause(kind=CauseKind.PROMISE, build=first, index=0)
    promised = Promise(id=promise_id(first, 0), pool="default", request=request(cause=cause))
    stage.request(build=first, promises=(promised,))
    stage.finish(first)
    ref = stage.refs.build("default", promised.id)
    root = stage.write(ref, promised.request, ANNA)
    del stage.host.refs[ref]
    stage.lie({promised.id: root})
    assert stage.fold() == [], "the promised build is nowhere yet"
    assert read(stage, promised.id) is None


def two_ends(stage: Stage) -> tuple[str, Oid, Oid]:
    """A build that lab1 built, whose other end lab2 forged and archived first; its id, both ends."""
    build = stage.request()
    ref = stage.refs.build("default", build)
    root = stage.tip(ref)
    claim = stage.write(ref, Claim(attempt=1), LAB2)
    forged = stage.write(ref, Result(claim=claim, outcome=Outcome.FAILED), LAB2)
    stage.host.refs[ref] = str(root)
    stage.lie({build: forged}, LAB2)
    return build, stage.finish(build, by=LAB1), forged


def test_two_ends_stay_until_somebody_decides(stage: Stage) -> None:
    """An agent of the pool forges another end and archives it first: the true one stays, and all are told."""
    build, true, _ = two_ends(stage)
    ref = stage.refs.build("default", build)
    assert stage.fold() == []
    assert stage.tip(ref) == true
    found = read(stage, build)
    assert found is not None
    assert found.outcome is Outcome.PASSED
    reader = stage.client()
    repository = Repository(reader, poll(reader))
    assert [one.id for one in disputes(repository)] == [build]
    assert any("two ends" in one.fault for one in audit(repository) if one.ref == ref)


def test_an_admin_settles_two_ends(stage: Stage) -> None:
    """With the next generation of the policy the archive's end counts for all, also for who had seen the other one."""
    build, true, forged = two_ends(stage)
    ref = stage.refs.build("default", build)
    assert stage.fold() == []
    state = stage.client()
    poll(state)
    begin(state, state.remote, stage.actor(CARA), "two ends")
    assert stage.fold() == []
    assert stage.tip(ref) == true, "while claims are held nothing goes"
    release(state, state.remote, stage.actor(CARA), "settled")
    assert stage.denied(ref) is None
    assert stage.fold() == []
    assert stage.tip(ref) is None
    found = read(stage, build)
    assert found is not None
    assert found.tip == forged
    for _ in range(2):
        snapshot = poll(state)
        push_back(state, snapshot)
    assert snapshot.alarms == ()
    assert not snapshot.behind
    assert stage.tip(ref) is None
    assert list(disputes(Repository(state, snapshot))) == []


@pytest.mark.parametrize("by", [LAB1, LAB2, ANNA, EVE])
def test_nobody_else_settles_two_ends(stage: Stage, by: str) -> None:
    """Whoever wrote one of the ends, asked for the build or came along: no policy of theirs, no deletion, no record."""
    build, true, _ = two_ends(stage)
    ref = stage.refs.build("default", build)
    state = stage.client()
    with pytest.raises(Refused):
        begin(state, state.remote, stage.actor(by), "mine")
    denied = stage.denied(ref, pusher=by)
    assert denied is not None
    assert "another end in the archive" in str(denied)
    stage.write(ref, Cancel(), by)
    assert stage.fold() == []
    assert stage.build(build).final == true


def test_a_late_result_of_an_earlier_attempt_is_no_lie(stage: Stage) -> None:
    """Copies of old pushes rebuild the ref up to the first claim, whose result was under way: the archive's end stands.

    The same with a claim that the archive lacks is a lie: nobody starts one of a build that is archived.
    """
    build = stage.request()
    ref = stage.refs.build("default", build)
    root = stage.data(str(stage.tip(ref)))
    first = stage.write(ref, Claim(attempt=1), LAB1)
    observed = Observed(claim=first, beat="", unchanged_ms=200_000, polls=20)
    second = stage.write(ref, Claim(attempt=2, takeover=observed), LAB2)
    true = stage.write(ref, Result(claim=second, outcome=Outcome.PASSED), LAB2)
    assert stage.fold() == [build]
    stage.place(ref, root, stage.data(first))
    stage.write(ref, Result(claim=first, outcome=Outcome.FAILED), LAB1)
    assert stage.build(build).is_final
    assert stage.fold() == []
    assert stage.tip(ref) is None
    assert stage.build(build).tip == true
    stage.place(ref, root)
    lie = stage.finish(build, by=LAB1, outcome=Outcome.FAILED)
    assert stage.fold() == []
    assert stage.tip(ref) == lie


def test_a_server_lets_a_lie_be_put_right(stage: Stage) -> None:
    """The hook refuses to change an entry that counts, and takes the true end in place of one that never did."""
    build, records = ended(stage)
    month = stage.refs.archive("default", "2023-11")
    stage.lie({build: records[CLAIM]}, LAB2)
    lying = stage.tip(month)
    assert stage.fold() == [build]
    mended = stage.tip(month)
    assert lying
    assert mended
    stage.host.refs[month] = lying
    assert stage.denied(month, stage.data(mended)) is None
    stage.host.refs[month] = mended
    again = stage.lie({build: records[CLAIM]}, LAB2)
    stage.host.refs[month] = mended
    assert "changes or drops" in str(stage.denied(month, stage.data(again)))
    assert stage.denied(month, stage.data(lying), old=mended) is not None
