"""The small decisions: leases, order, placement, ids, expansion, and which policy may follow which."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import msgspec
import pytest
from chains import ANNA, CARA, ID, request, team

from citgit.errors import Refused, UsageError
from citgit.model.build import Build, Link
from citgit.model.job import Job, Requires, Where
from citgit.model.policy import Seal
from citgit.model.record import Advert, CauseKind, Decision, Head, Payload, Policy, Record, Revoked
from citgit.model.team import Person, Role, Team, TeamLimits
from citgit.rules import expand, ids, leases, ordering, placement, policies, ranking
from citgit.testing.keys import fake_public_key


def test_a_lease_runs_out_after_watched_time_only() -> None:
    """Changes start anew, a long gap counts 60 s, and jitter spreads the takers."""
    watch = leases.observe(None, "t", "b", 500)
    assert (watch.unchanged, leases.ran_out(watch, 0, 0)) == (0, False)
    watch = leases.observe(watch, "t", "b", 500)
    assert (watch.unchanged, watch.polls) == (60, 1)
    watch = leases.observe(watch, "t", "b", 30)
    assert leases.ran_out(watch, 60, 0)
    assert not leases.ran_out(watch, 60, 0.1)
    assert leases.observe(watch, "t", "b2", 5).unchanged == 0
    assert leases.observe(watch, "t", "b", -5).unchanged == 90


def test_a_holder_stops_one_ttl_after_its_renewal_began() -> None:
    """The holder's limit is shorter than any taker's."""
    assert leases.still_mine(100.0, 159.9, 60)
    assert not leases.still_mine(100.0, 160.0, 60)


def test_order_of_a_queue() -> None:
    """Priority, then owners in turn, then first seen, then id; what runs already counts as a turn."""

    def build(name: str, owner: str, priority: int = 0) -> Build:
        return Build(id=name, pool="p", ref="r", tip="t", state="waiting", owner=owner, priority=priority)

    waiting = [build("a1", "anna"), build("a2", "anna"), build("b1", "ben"), build("c1", "cara", 5)]
    seen = {"a1": 1.0, "a2": 2.0, "b1": 3.0, "c1": 4.0}
    assert [one.id for one in ordering.in_order(waiting, seen, {})] == ["c1", "a1", "b1", "a2"]
    assert [one.id for one in ordering.in_order(waiting, seen, {"anna": 1})] == ["c1", "b1", "a1", "a2"]
    assert [one.id for one in ordering.in_order(waiting[1::-1], {}, {})] == ["a1", "a2"]


@pytest.mark.parametrize(
    ("have", "operator", "want", "holds"),
    [
        ("12.2.0", ">=", "12", True), ("9", ">=", "12", False), ("12", "==", "12.0.0", True),
        ("1.10", ">", "1.9", True), ("1.10", "<", "1.9", False), ("2.0", "<=", "2", True),
        ("3.11.0rc1", ">=", "3.11", True),
        ("4.3", ">", "4.3", False),
    ],
)  # fmt: skip
def test_versions_compare_as_numbers(have: str, operator: str, want: str, holds: bool) -> None:
    """1.10 is more than 1.9, and missing numbers are 0."""
    assert placement.compare(have, operator, want) is holds


@pytest.mark.parametrize(
    ("wants", "holds"),
    [
        (Requires(), True), (Requires(os="linux", tools=("make", "cc >= 12"), cpu=2, memory=4, labels=("gpu",)), True),
        (Requires(os="plan9"), False), (Requires(arch="arm"), False), (Requires(tools=("cc >= 13",)), False),
        (Requires(tools=("ninja",)), False), (Requires(cpu=3), False), (Requires(memory=5), False),
        (Requires(disk=1), False), (Requires(labels=("tpu",)), False), (Requires(tools=("make >= 1",)), False),
    ],
)  # fmt: skip
def test_placement(wants: Requires, holds: bool) -> None:
    """Each requirement is checked against the advert; a tool of unknown version satisfies no bound."""
    advert = Advert(
        boot="b", version="1", os="linux", arch="x86_64", cpu=2, memory=4, labels=("gpu",),
        tools={"make": "", "cc": "12.2"}, executors={"process": ""},
    )  # fmt: skip
    found = placement.decide(Job(requires=wants), advert, agent="lab1")
    assert all(one.ok for one in found) is holds


def test_placement_of_agent_slot_and_executor() -> None:
    """The named agent, a free slot, a usable executor."""
    advert = Advert(boot="b", version="1", executors={"bwrap": "no user namespaces", "process": ""})
    job = Job(place=Where(executor="bwrap"))
    assert [one.ok for one in placement.decide(job, advert, agent="lab1", on="lab2", free=0)] == [False] * 3
    assert [one.ok for one in placement.decide(Job(), advert, agent="lab1", on="lab1", free=1)] == [True] * 3


def test_bits_of_an_id() -> None:
    """UUIDv8: 48 bits of time, version, variant, the rest of the digest; month and day from the time."""
    made = ids.trigger_id(1_700_000_000_000, "f" * 64)
    assert (UUID(made).version, UUID(made).variant) == (8, "specified in RFC 4122")
    assert made == "018bcfe5-6800-8fff-bfff-ffffffffffff"
    assert ids.time_of(made) == 1_700_000_000_000
    assert (ids.month_of(made), ids.day_of(made)) == ("2023-11", "14")
    assert ids.month_of(ids.trigger_id(2**60, "0" * 64)) == "9999-12"
    assert ids.time_of(ids.trigger_id(-5, "0" * 64)) == 0
    promised = ids.promise_id(ID, 0)
    assert (promised[:13], UUID(promised).version) == (ID[:13], 8)
    assert promised != ids.promise_id(ID, 1)


def test_a_default_changes_no_digest() -> None:
    """Keys that are added later, at their default, leave digests as they are."""
    assert ids.job_digest(Job(command=("x",), directory=".")) == ids.job_digest(Job(command=("x",)))
    assert ids.job_digest(Job(command=("x",))) != ids.job_digest(Job(command=("y",)))


def test_expansion() -> None:
    """Upstream first, once each; a circle is refused; promises derive from the root and know their upstream."""
    upstream = {"app": ["lib", "tool"], "lib": ["tool"], "tool": []}
    assert expand.ordered(["app", "lib"], upstream.__getitem__) == ["tool", "lib", "app"]
    with pytest.raises(UsageError, match="a -> b -> a"):
        expand.ordered(["a"], {"a": ["b"], "b": ["a"]}.__getitem__)
    cells = [expand.Cell(name, Job(), request(job=name)) for name in ("tool", "lib")]
    (promise,) = expand.promises(ID, cells, {"lib": ["tool"]})
    assert (promise.id, promise.pool, promise.request.upstream) == (ids.promise_id(ID, 0), "default", {"tool": ID})
    assert promise.request.cause.kind is CauseKind.PROMISE


def _link(version: int, parents: tuple[str, ...], actor: str = CARA, key: str = "", **body: object) -> Link:
    files = tuple(Payload(name=name, sha256="0" * 64, size=1) for name in ("policy.json", "seal.json"))
    head = Head(
        type="policy", repo="", ref="refs/cit/policy", seq=version - 1, prev=None, prev_sha256=None, nonce="0" * 32,
        policy="", actor=actor, time=1,
    )  # fmt: skip
    record = Record(head=head, body=Policy(version=version, files=files, **body))  # type: ignore[arg-type]
    return Link(
        oid=f"{version:040x}", sha256="", parents=parents, tree="", key=fake_public_key(key or actor), record=record
    )


def test_policies_follow_each_other() -> None:
    """An admin of the policy before signs the next version at its place; revoked keys add up."""
    root = policies.accept(None, _link(1, ()), "refs/cit/policy", 0, team(), Seal())
    old = fake_public_key("person:ben")
    link = _link(2, (root.oid,), revoked=(Revoked(key=old),))
    second = policies.accept(root, link, "refs/cit/policy", 1, team(), Seal())
    third = policies.accept(second, _link(3, (second.oid,), generation=1), "refs/cit/policy", 2, Team(), Seal())
    assert (third.version, third.generation, third.revoked) == (3, 1, {old: ""})
    for bad, reason in (
        (_link(2, ()), "place"),
        (_unread(link), "is no policy"),
        (_link(2, (root.oid,), actor=ANNA), "no admin"),
        (_link(2, (root.oid,), key="stranger"), "no admin"),
    ):
        with pytest.raises(Refused, match=reason):
            policies.accept(root, bad, "refs/cit/policy", 1, team(), Seal())
    skipped = _changed_version(_link(3, (second.oid,)), 5)
    with pytest.raises(Refused, match="has version 5, not 3"):
        policies.accept(second, skipped, "refs/cit/policy", 2, team(), Seal())
    with pytest.raises(Refused, match="generation"):
        policies.accept(third, _link(4, (third.oid,)), "refs/cit/policy", 3, team(), Seal())
    with pytest.raises(Refused, match="no admin"):
        policies.accept(third, _link(4, (third.oid,), generation=1), "refs/cit/policy", 3, team(), Seal())


def test_a_policy_needs_as_many_admins_as_the_one_before_it_says() -> None:
    """Each admin and each key count once; a stranger's signature spoils it."""
    people = {**team().person, "dora": Person(keys=(fake_public_key("person:dora"),), roles=(Role.ADMIN,))}
    strict = msgspec.structs.replace(team(), person=people, limits=TeamLimits(admins=2))
    cara, dora = fake_public_key("person:cara"), fake_public_key("person:dora")
    root = policies.accept(None, _link(1, ()), "refs/cit/policy", 0, strict, Seal(), {"dora": dora})
    assert root.cosigners == ("dora",)
    link = _link(2, (root.oid,))

    def accept(**cosigners: str) -> None:
        policies.accept(root, link, "refs/cit/policy", 1, Team(), Seal(), cosigners)

    accept(dora=dora)
    for bad in ({}, {"cara": cara}):
        with pytest.raises(Refused, match="needs 2 admins, and has person:cara"):
            accept(**bad)
    for bad in ({"dora": cara}, {"dora": fake_public_key("x")}, {"anna": fake_public_key("person:anna")}):
        with pytest.raises(Refused, match="who is no admin"):
            accept(**bad)
    revoked = _link(2, (root.oid,), revoked=(Revoked(key=dora),))
    second = policies.accept(root, revoked, "refs/cit/policy", 1, strict, Seal(), {"dora": dora})
    with pytest.raises(Refused, match="person:dora too, who is no admin"):
        policies.accept(second, _link(3, (second.oid,)), "refs/cit/policy", 2, strict, Seal(), {"dora": dora})
    assert "would leave 1 admins" in policies.lockout(second)
    assert policies.lockout(root) == ""


def _unread(link: Link) -> Link:
    return Link(oid=link.oid, sha256="", parents=link.parents, tree="", key=link.key, fault="no record")


def _changed_version(link: Link, version: int) -> Link:
    assert link.record is not None
    body = msgspec.structs.replace(link.record.body, version=version)  # type: ignore[type-var]
    record = msgspec.structs.replace(link.record, body=body)
    return Link(oid=link.oid, sha256="", parents=link.parents, tree="", key=link.key, record=record)


def test_builds_are_spread_over_free_slots() -> None:
    """Whoever got fewer comes first, the better one among equals, and nobody gets more than it has free."""
    no = (Decision(check="slot", ok=False, found="0 of 4 free"),)
    answers = [
        ranking.Answer(agent="lab1", host="", free=3), ranking.Answer(agent="lab2", host="", free=1),
        ranking.Answer(agent="lab3", host="", free=4, decisions=no), ranking.Answer(agent="lab4", host="", away="gone"),
    ]  # fmt: skip
    taken: Counter[str] = Counter()
    chosen = []
    for _ in range(6):
        chosen.append(ranking.best(answers, taken))
        taken[chosen[-1]] += 1
    assert chosen == ["lab1", "lab2", "lab1", "lab1", "", ""]


def test_cells_that_need_the_same_are_one_question() -> None:
    """What is run and its parameters tell cells apart only where the job's own program is asked about them."""
    job = Job(command=("make", "gcc"), requires=Requires(tools=("make",)))
    one = msgspec.structs.replace(request(), definition=job, cell={"cc": "gcc"}, parameters={"level": 1})
    two = msgspec.structs.replace(
        one, definition=msgspec.structs.replace(job, command=("make", "tcc")), cell={}, parameters={"level": 2}
    )
    assert ranking.question(one) == ranking.question(two)
    more = msgspec.structs.replace(job, requires=Requires(tools=("make", "cc")))
    assert ranking.question(msgspec.structs.replace(one, definition=more)) != ranking.question(one)
    program = msgspec.structs.replace(job, requires=Requires(can_build="ci/can-build"))
    one, two = (msgspec.structs.replace(each, definition=program) for each in (one, two))
    assert ranking.question(one) != ranking.question(two)
