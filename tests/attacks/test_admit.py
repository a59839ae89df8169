"""The host's judgement of a push: honest ones pass, each rule refuses by name, readers are never overruled."""

from __future__ import annotations

from typing import Any

import pytest
from chains import request
from stage import ANNA, BEN, CARA, EVE, LAB1, LAB2, MemoryHosted, Stage

from citgit.flows.admit import Denied
from citgit.flows.archive import archive
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.model.build import Build
from citgit.model.record import Advert, Beat, Cancel, Cause, CauseKind, Claim, Grant, Outcome, Progress, Result, Seen
from citgit.records import commit as commits


@pytest.fixture
def stage() -> Stage:
    """A repository with its root policy."""
    return Stage()


def rule(denied: Denied | None) -> str:
    """The rule that was named; "" for an allowed push."""
    return denied.rule if denied else ""


def test_an_honest_life_is_let_through(stage: Stage) -> None:
    """Request, claim, progress, result, archive, deletion: each push as it comes, and a whole life at once."""
    build = stage.entropy.build_id()
    ref = stage.refs.build("default", build)
    datas = []
    for body, by in (
        (request(), ANNA), (lambda: Claim(attempt=1), LAB1),
        (lambda: Result(claim=stage.tip(ref) or "", outcome=Outcome.PASSED), LAB1),
    ):  # fmt: skip
        datas.append(stage.record(ref, body() if callable(body) else body, by))
        assert stage.denied(ref, datas[-1]) is None
        stage.place(ref, datas[-1])
    tip = stage.host.refs.pop(ref)
    assert stage.denied(ref, *datas) is None
    stage.host.refs[ref] = tip
    assert rule(stage.denied(ref)) == "delete"
    month = stage.refs.archive("default", "2023-11")
    stage.host.denied = (stage.refs.builds(),)  # the archiver's deletion does not get through
    assert stage.fold() == [build]
    made = stage.data(stage.host.refs.pop(month))
    assert stage.denied(month, made) is None
    stage.place(month, made)
    assert stage.denied(ref) is None
    assert rule(stage.denied(ref, stage.record(ref, Cancel(), ANNA))) == "archived"


def test_a_push_costs_no_list_of_refs(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many builds and archives there are, the judgement of a record looks up a few refs by name."""
    ref, claim = claimed(stage)

    def listing(self: object, prefix: str) -> dict[str, str]:
        raise AssertionError(f"lists {prefix}")

    monkeypatch.setattr(MemoryHosted, "under", listing)
    assert stage.denied(ref, stage.record(ref, Progress(claim=claim, phase="x"), LAB1)) is None
    promised = request(cause=Cause(kind=CauseKind.PROMISE, build=ref.rpartition("/")[2]))
    other = stage.refs.build("default", stage.entropy.build_id())
    assert "no valid record promises" in str(stage.denied(other, stage.record(other, promised, ANNA)))


def test_branches_are_nobody_s_business(stage: Stage) -> None:
    """Refs outside the root are not judged at all."""
    assert stage.denied("refs/heads/main", b"anything") is None
    assert rule(stage.denied("refs/cit/secrets/x", b"anything")) == "name"
    assert rule(stage.denied("refs/cit/builds/Default/" + stage.entropy.build_id(), b"")) == "name"


def test_policy_is_never_deleted_nor_replaced(stage: Stage) -> None:
    """Only its own admins extend it; another valid chain is no extension."""
    ref, root = stage.refs.policy, stage.tip(stage.refs.policy)
    assert rule(stage.denied(ref)) == "delete"
    other = Stage(seed=2)
    assert rule(stage.denied(ref, other.data(other.repo))) == "fast-forward"
    second = stage.policy()
    good = stage.data(second)
    stage.host.refs[ref] = str(root)
    assert stage.denied(ref, good) is None
    payload = commits.parse(good).payload
    forged = commits.signed(payload, stage.actor(BEN).signer.sign(payload))
    assert rule(stage.denied(ref, forged)) == "policy"


def claimed(stage: Stage) -> tuple[str, str]:
    """A running build: its ref and its claim."""
    ref = stage.refs.build("default", stage.request())
    return ref, stage.write(ref, Claim(attempt=1), LAB1)


@pytest.mark.parametrize(
    ("by", "more", "words"),
    [
        (LAB2, {}, "is not holder"), (EVE, {}, "is not holder"), (LAB1, {"signer": LAB2}, "is not holder"),
        (LAB1, {"repo": "f" * 40}, "repo is"), (LAB1, {"policy": "f" * 40, "signer": EVE}, "not known here"),
    ],
)  # fmt: skip
def test_records_that_would_be_void_do_not_land(stage: Stage, by: str, more: dict[str, Any], words: str) -> None:
    """The pusher is told which record, and which rule."""
    ref, claim = claimed(stage)
    denied = stage.denied(ref, stage.record(ref, Result(claim=claim, outcome=Outcome.PASSED), by, **more))
    assert denied is not None
    assert (denied.rule, len(denied.record)) == ("table", 40)
    assert words in str(denied)


def test_a_policy_that_only_the_pusher_knows(stage: Stage) -> None:
    """Known signers are told what to do; the record does not land."""
    ref, claim = claimed(stage)
    data = stage.record(ref, Progress(claim=claim, phase="x"), LAB1, policy="f" * 40)
    assert rule(stage.denied(ref, data)) == "policy"
    lie = stage.record(ref, Progress(claim=claim, phase="x"), LAB1, seen=Seen(policy="f" * 40))
    assert "an old copy, or the record lies" in str(stage.denied(ref, lie))
    beats = stage.refs.agent("lab1", "b1")
    advert = stage.record(beats, Advert(boot="b1", version="1"), LAB1, seen=Seen(policy="f" * 40))
    assert rule(stage.denied(beats, advert)) == "policy"


def test_a_ref_only_grows(stage: Stage) -> None:
    """No rewind, no replacement by another valid chain, no merge, no foreign root."""
    ref, _ = claimed(stage)
    root = stage.data(stage.chain(ref)[0])
    assert rule(stage.denied(ref, root)) == "fast-forward"
    assert rule(stage.denied(ref, stage.record(ref, request(), ANNA, parent=None))) == "table"
    payload = commits.parse(stage.record(ref, Cancel(), ANNA)).payload
    head, _, body = payload.partition(b"\nauthor")
    merge = head + b"\nparent " + stage.repo.encode() + b"\nauthor" + body
    assert rule(stage.denied(ref, commits.signed(merge, stage.actor(ANNA).signer.sign(merge)))) == "shape"


def test_agents_write_to_their_own_refs(stage: Stage) -> None:
    """Advert first, then beats, by that agent, for that boot; deleted once the next boot stands."""
    ref = stage.refs.agent("lab1", "b1")
    advert = stage.record(ref, Advert(boot="b1", version="1"), LAB1)
    assert stage.denied(ref, advert) is None
    assert rule(stage.denied(ref, stage.record(ref, Beat(renews=()), LAB1))) == "shape"
    assert rule(stage.denied(ref, stage.record(ref, Advert(boot="b2", version="1"), LAB1))) == "place"
    assert rule(stage.denied(ref, stage.record(ref, Advert(boot="b1", version="1"), LAB2))) == "actor"
    assert rule(stage.denied(ref, stage.record(ref, Advert(boot="b1", version="1"), LAB1, signer=EVE))) == "signature"
    stage.place(ref, advert)
    beat = stage.record(ref, Beat(renews=()), LAB1)
    assert stage.denied(ref, beat) is None
    other = stage.refs.agent("lab2", "b1")
    assert rule(stage.denied(other, advert)) == "place"
    assert rule(stage.denied(ref)) == "delete"
    assert stage.denied(ref, pusher=CARA) is None
    stage.write(stage.refs.agent("lab1", "b2"), Advert(boot="b2", version="1"), LAB1)
    assert stage.denied(ref) is None


def test_grants_are_the_owner_s(stage: Stage) -> None:
    """The owner and maintainers add readers, nobody else."""
    build = stage.request()
    ref = stage.refs.grant(build)
    for by, wanted in ((ANNA, ""), (CARA, ""), (BEN, "actor"), (EVE, "signature")):
        assert rule(stage.denied(ref, stage.record(ref, Grant(readers=("ben",)), by))) == wanted
    assert rule(stage.denied(stage.refs.grant(stage.entropy.build_id()), b"")) == "place"


def test_an_archive_takes_nothing_back(stage: Stage) -> None:
    """A second commit adds; one that drops what was there, folds what is not final or lies in its files does not."""
    first, second = stage.request(), stage.request()
    stage.finish(first)
    month = stage.refs.archive("default", "2023-11")
    assert stage.fold() == [first]
    before = stage.tip(month)
    stage.finish(second)
    assert stage.fold() == [second]
    good = stage.host.refs[month]
    stage.host.refs[month] = str(before)
    assert stage.denied(month, stage.data(good)) is None
    assert rule(stage.denied(month)) == "delete"

    def folded(tree: str, *parents: str, by: str = LAB1) -> bytes:
        payload = commits.unsigned(
            tree=tree, parents=parents, author=by, mail="x", time=1,
            message="archive: 1 builds of default in 2023-11\n\n" + "x passed\n" * (len(parents) - 1),
        )  # fmt: skip
        return commits.signed(payload, stage.actor(by).signer.sign(payload))

    honest = commits.parse(stage.data(good))
    assert stage.denied(month, folded(honest.tree, *honest.parents)) is None
    assert "drops" in str(stage.denied(month, folded(commits.EMPTY_TREE, *honest.parents[:1])))
    assert "parents are not the tips" in str(stage.denied(month, folded(honest.tree, *honest.parents[:1])))
    assert rule(stage.denied(month, folded(honest.tree, *honest.parents, by=EVE))) == "signature"
    assert rule(stage.denied(month, stage.data(stage.repo))) == "fast-forward"


def test_an_archive_waits_for_the_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dishonest archiver who folds a running build is refused."""
    ref, _ = claimed(stage)
    monkeypatch.setattr(Build, "is_final", property(lambda self: True))
    month = stage.refs.archive("default", "2023-11")
    stage.host.denied = (stage.refs.builds(),)
    archive(stage.state, stage.actor(LAB1), Repository(stage.state, poll(stage.state)), "default")
    monkeypatch.undo()
    made = stage.data(stage.host.refs.pop(month))
    assert "it is running, not final" in str(stage.denied(month, made))
    assert stage.tip(ref)
