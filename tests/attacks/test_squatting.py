"""Threat: somebody is first at an id that is not theirs. What counts goes on, and belongs to whom it should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from chains import request
from stage import ANNA, BEN, CARA, EVE, HOOK, LAB1, Stage, team

from citgit.flows.builds import Repository
from citgit.flows.enqueue import Change, Doors, create_promised, enqueue_push
from citgit.flows.poll import poll
from citgit.interfaces import Revision
from citgit.model.job import CitToml, Job, ResolvedJob, Trigger, Value
from citgit.model.record import Cause, CauseKind, PinnedSource, Promise, Request
from citgit.model.team import TriggerPrincipal
from citgit.rules.ids import promise_id, trigger_digest, trigger_id
from citgit.rules.judge import promises_of

COMMIT = "c" * 40


class OneCommit:
    """A source repository whose one commit is there, and stands for its own config."""

    def heads(self, url: str) -> dict[str, str]:
        return {"main": COMMIT}

    def fetch(self, url: str, commit: str, ref: str = "") -> Revision:
        return Revision(commit, 1_700_000_000_000)

    def files(self, url: str, commit: str, paths: Sequence[str]) -> dict[str, bytes]:
        return {"cit.toml": b""}


class OneJob:
    """A config with one job, which pushes start."""

    def read(self, files: Mapping[str, bytes]) -> CitToml:
        return CitToml(job={"check": Job(command=("make",), trigger=Trigger(push=("main",)))})

    def resolve(self, config: CitToml, job: str, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
        return [ResolvedJob(name=job, cell={}, parameters={}, job=config.job[job])]

    def selected(self, config: CitToml, branch: str, changed: Sequence[str] | None) -> list[str]:
        return ["check"]


def ask(stage: Stage, by: str = HOOK, **more: Any) -> tuple[str, bool]:
    """A door that noticed a push: (build, whether this door was first)."""
    state = stage.client()
    repository = Repository(state, poll(state))
    doors = Doors(sources=OneCommit(), configs=OneJob())  # type: ignore[arg-type]
    change = Change(url="self", branch="main", commit=COMMIT)
    asked = enqueue_push(state, stage.actor(by), repository, doors, change, principal="push", **more)
    return asked[0].build, asked[0].new


@pytest.fixture
def stage() -> Stage:
    """A repository with its root policy."""
    return Stage()


@pytest.mark.parametrize("pool", ["default", "other"])
@pytest.mark.parametrize("by", [EVE, ANNA])
def test_a_squatted_trigger_id_is_freed(stage: Stage, by: str, pool: str) -> None:
    """Junk at the id of a push's build, in its pool or another one, stops no door and fools no reader."""
    build, _ = ask(Stage())
    ref = stage.refs.build(pool, build)
    stage.write(ref, request(), by)
    reader = stage.client()
    poll(reader)  # has seen the squatter, and must not believe in it for ever
    assert ask(stage) == (build, True)
    snapshot = poll(reader)
    assert snapshot.alarms == ()
    found = Repository(reader, snapshot).find(build)
    assert found is not None
    assert (found.state, found.pool, found.principal) == ("waiting", "default", "trigger:push")
    assert ask(stage, LAB1) == (build, False)


def test_whoever_is_first_owns_nothing(stage: Stage) -> None:
    """A request belongs to its trigger: who signed it first cannot cancel it, nor say who pushed."""
    build, _ = ask(stage, BEN, pushed_by=EVE)
    assert stage.build(build).owner == "", "ben may speak for the trigger, and not vouch for who pushed"
    vouched, _ = ask(Stage(), HOOK, pushed_by=ANNA)
    assert vouched == build, "who pushed is no part of the id"


def test_a_trigger_s_request_has_no_free_field(stage: Stage) -> None:
    """Whoever speaks for the trigger cannot slip in a priority, an agent, readers, another pool or another job."""
    build, _ = ask(stage)
    ref = stage.refs.build("default", build)
    body = stage.build(build).request
    assert body is not None
    changes: list[dict[str, Any]] = [
        {"priority": 5}, {"on": "lab1"}, {"readers": ("eve",)}, {"retry_of": build}, {"upstream": {"x": build}},
        {"cause": msgspec.structs.replace(body.cause, message="x")}, {"parameters": {"level": 9}}, {"job": "other"},
        {"definition": msgspec.structs.replace(body.definition, command=("steal",))},
        {"sources": (PinnedSource(ref="main", commit="d" * 40),)},
        {"cause": msgspec.structs.replace(body.cause, generation=1)},
        {"cause": msgspec.structs.replace(body.cause, principal="trigger:other")},
    ]  # fmt: skip
    del stage.host.refs[ref]
    for change in changes:
        assert stage.denied(ref, stage.record(ref, msgspec.structs.replace(body, **change), HOOK)), change
    other = stage.refs.build("other", build)
    assert stage.denied(other, stage.record(other, body, HOOK)), "another pool"
    assert stage.denied(ref, stage.record(ref, body, HOOK)) is None
    assert stage.denied(ref, stage.record(ref, body, EVE)), "a stranger speaks for nobody"


def test_a_stolen_id_must_be_the_digest(stage: Stage) -> None:
    """A speaker of the trigger who picks an id for a request of their own is refused."""
    body = request(
        cause=Cause(kind=CauseKind.TRIGGER, principal="trigger:push", time=5, digest="ab" * 32), max_attempts=1
    )
    honest = trigger_digest(stage.repo, "trigger:push", "default", body)
    for build in (trigger_id(5, "ab" * 32), trigger_id(5, honest), stage.entropy.build_id()):
        ref = stage.refs.build("default", build)
        assert "digest" in str(stage.denied(ref, stage.record(ref, body, HOOK))), build


def test_an_id_belongs_to_one_trigger(stage: Stage) -> None:
    """Who speaks for another trigger cannot take the id of a push's build for it, with all else the same."""
    build, _ = ask(Stage())
    both = {name: TriggerPrincipal(keys=("@dev",)) for name in ("push", "nightly")}
    stage.policy(team(trigger=both))
    ask(stage, BEN)
    ref = stage.refs.build("default", build)
    body = stage.build(build).request
    assert body is not None
    del stage.host.refs[ref]
    cause = msgspec.structs.replace(body.cause, principal="trigger:nightly")
    stolen = stage.record(ref, msgspec.structs.replace(body, cause=cause), BEN)
    assert "the digest is not that of the request" in str(stage.denied(ref, stolen))
    assert stage.denied(ref, stage.record(ref, body, BEN)) is None


def test_a_squatted_promise_is_created(stage: Stage) -> None:
    """Junk at the id of a promised build does not count as the promise kept."""
    first = stage.entropy.build_id()
    cause = Cause(kind=CauseKind.PROMISE, build=first, index=0)
    promised = Promise(id=promise_id(first, 0), pool="default", request=request(cause=cause))
    stage.request(build=first, promises=(promised,))
    stage.write(stage.refs.build("default", promised.id), request(), EVE)
    stage.write(stage.refs.build("other", promised.id), request(cause=cause), BEN)
    stage.finish(first)
    assert stage.fold() == [], "nothing is archived before what it promised exists"
    state = stage.client()
    repository = Repository(state, poll(state))
    found = repository.find(first)
    assert found is not None
    assert create_promised(state, stage.actor(LAB1), repository, promises_of(found)) == [promised.id]
    assert stage.fold() == [first]
    made = stage.build(promised.id)
    assert (made.state, made.owner, made.pool) == ("waiting", ANNA, "default")


@pytest.mark.parametrize("archived", [False, True])
def test_a_squatted_promise_leaves_no_alarm(stage: Stage, archived: bool) -> None:
    """Who saw junk with the cause of a promise, and then the promised build, is not told of a rewound ref."""
    first = stage.entropy.build_id()
    cause = Cause(kind=CauseKind.PROMISE, build=first, index=0)
    promised = Promise(id=promise_id(first, 0), pool="default", request=request(cause=cause))
    ref = stage.refs.build("default", promised.id)
    stage.request(build=first, promises=(promised,))
    stage.write(ref, request(cause=cause, job="other"), BEN)
    reader = stage.client()
    assert poll(reader).alarms == ()
    if archived:
        stage.finish(first)
    state = stage.client()
    repository = Repository(state, poll(state))
    found = repository.find(first)
    assert found is not None
    create_promised(state, stage.actor(LAB1), repository, promises_of(found))
    assert stage.fold() == ([first] if archived else [])
    snapshot = poll(reader)
    assert snapshot.alarms == ()
    assert snapshot.tips[ref] == stage.tip(ref)
    del stage.host.refs[ref]
    stage.write(ref, request(cause=cause, job="x"), BEN)
    assert any("rewound" in alarm for alarm in poll(reader).alarms), "what counts is not forgotten"


def test_a_void_root_may_be_deleted_by_anybody(stage: Stage) -> None:
    """The server lets squatters be swept away, and protects what is a build."""
    junk, real = stage.refs.build("default", stage.entropy.build_id()), stage.refs.build("default", stage.request())
    stage.write(junk, request(), EVE)
    assert stage.denied(junk) is None
    assert stage.denied(real) is not None
    assert stage.denied(stage.refs.policy, pusher=CARA) is not None
    assert isinstance(stage.build(real.rpartition("/")[2]).request, Request)
