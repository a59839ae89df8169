"""The fold of a chain: guards, attempts, revocation and seals, each by the smallest chain that shows it."""

from __future__ import annotations

import msgspec
import pytest
from chains import ANNA, BEN, CARA, EARLIER, EVE, ID, LAB1, LAB2, LATER, Chain, policy, request, requested, team
from msgspec.structs import replace

from citgit.errors import NotYet
from citgit.model.policy import Seal
from citgit.model.record import (
    Body,
    Cancel,
    Cause,
    CauseKind,
    Claim,
    Lost,
    Moved,
    Outcome,
    Pause,
    Priority,
    Progress,
    Promise,
    Result,
    Resume,
    Reused,
    Skipped,
    Supersede,
)  # fmt: skip
from citgit.model.team import Team
from citgit.rules.facts import NoFacts, Origin, Other, Promised
from citgit.rules.ids import promise_id, trigger_digest, trigger_id
from citgit.rules.judge import promises_of
from citgit.testing.keys import fake_public_key


class _Others(NoFacts):
    """Other builds, by id."""

    def __init__(self, **others: Other) -> None:
        self.others = {"earlier": EARLIER, "later": LATER}
        self.known = {self.others[name]: other for name, other in others.items()}

    def other(self, build: str) -> Other | None:
        return self.known.get(build)


def _promise(index: int, pool: str = "other") -> Promise:
    cause = Cause(kind=CauseKind.PROMISE, build=ID, index=index)
    return Promise(id=promise_id(ID, index), pool=pool, request=request(cause=cause))


def test_the_plain_life() -> None:
    """Request, claim, progress, result: passed, owned by who asked."""
    chain = requested()
    claim = chain.claim(LAB1, 1)
    chain.add(Progress(claim=claim, phase="building"), LAB1)
    final = chain.add(Result(claim=claim, outcome=Outcome.PASSED), LAB1)
    build = chain.judge()
    assert chain.voids() == [""] * 4
    assert (build.state, build.outcome, build.final, build.owner) == ("final", Outcome.PASSED, final, ANNA)
    chain.add(Cancel(), ANNA)
    assert "not allowed in state final" in chain.voids()[-1]


def test_attempts_count_void_claims() -> None:
    """A stranger's claim uses up a number but no attempt."""
    chain = requested(max_attempts=1)
    chain.claim(EVE, 1)
    chain.claim(LAB1, 1)
    chain.claim(LAB1, 3)
    build = chain.judge()
    assert [bool(void) for void in chain.voids()] == [False, True, True, False]
    assert (build.claims, build.valid_claims, build.state) == (3, 1, "running")
    chain.claim(LAB2, 4)
    assert chain.voids()[-1] == "all 1 attempts are used"


def test_takeover_voids_the_late_result() -> None:
    """After a takeover the first holder's result is void, the second's counts; without one it is valid late."""
    chain = requested()
    first = chain.claim(LAB1, 1)
    second = chain.claim(LAB2, 2)
    chain.add(Result(claim=first, outcome=Outcome.PASSED), LAB1)
    chain.add(Result(claim=second, outcome=Outcome.FAILED), LAB2)
    assert [bool(void) for void in chain.voids()] == [False, False, False, True, False]
    assert chain.judge().outcome is Outcome.FAILED


def test_same_agent_must_name_its_latest_claim() -> None:
    """The holder is the claim, not its signer."""
    chain = requested()
    first = chain.claim(LAB1, 1)
    chain.claim(LAB1, 2)
    chain.add(Result(claim=first, outcome=Outcome.PASSED), LAB1)
    assert chain.voids()[-1].startswith("names claim")


def test_result_while_stopping_keeps_cancelled() -> None:
    """The true outcome stays as evidence, the build reads cancelled."""
    chain = requested()
    claim = chain.claim(LAB1, 1)
    chain.add(Cancel(), ANNA)
    assert chain.judge().state == "stopping"
    chain.add(Result(claim=claim, outcome=Outcome.PASSED), LAB1)
    build = chain.judge()
    assert build.outcome is Outcome.CANCELLED
    assert build.result is not None
    assert build.result.outcome is Outcome.PASSED


def test_lost_needs_all_attempts_used() -> None:
    """With attempts left another agent takes over; with none it is lost; while stopping it always may be."""
    chain = requested()
    claim = chain.claim(LAB1, 1)
    chain.add(Lost(claim=claim), LAB2)
    assert chain.voids()[-1] == "only 1 of 2 attempts are used"
    claim = chain.claim(LAB2, 2)
    chain.add(Lost(claim=claim), LAB1)
    assert chain.judge().outcome is Outcome.ERRORED
    stopped = requested()
    claim = stopped.claim(LAB1, 1)
    stopped.add(Cancel(), CARA)
    stopped.add(Lost(claim=claim), LAB2)
    assert stopped.judge().outcome is Outcome.CANCELLED


def test_a_hold_stops_claims() -> None:
    """No claim that cites a holding policy counts."""
    chain = requested()
    chain.policies.append(policy(2, hold=True))
    chain.add(Claim(attempt=1), LAB1, cites=1)
    assert chain.voids()[-1] == "policy 2 holds all claims"


@pytest.mark.parametrize(
    ("pauser", "at", "resumer", "holds"),
    [
        (ANNA, None, ANNA, True), (ANNA, None, CARA, True), (ANNA, None, BEN, False), (CARA, None, ANNA, False),
        (CARA, None, CARA, True), (ANNA, None, LAB1, False), (CARA, 5, LAB1, True), (CARA, 5, ANNA, False),
    ],
)  # fmt: skip
def test_resume_needs_the_pausers_rank(pauser: str, at: int | None, resumer: str, holds: bool) -> None:
    """At least the pauser's rank, or any agent if the pause has a time."""
    chain = requested()
    chain.add(Pause(at=at), pauser)
    chain.add(Resume(), resumer)
    assert (chain.judge().state == "waiting") is holds


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        (Supersede(successor=LATER), True), (Supersede(successor=EARLIER), False),
        (Supersede(successor=ID), False), (Supersede(successor=LATER[:-1] + "9"), False),
    ],
)  # fmt: skip
def test_only_a_greater_id_supersedes(body: Body, holds: bool) -> None:
    """The successor exists, is of the same pool, job and branch, and greater."""
    chain = requested()
    chain.facts = _Others(later=Other("default", "check", "main"), earlier=Other("default", "check", "main"))
    chain.add(body, ANNA)
    assert chain.judge().is_final is holds


@pytest.mark.parametrize("other", [("other", "check", "main"), ("default", "lint", "main"), ("default", "check", "x")])
def test_a_different_build_supersedes_nothing(other: tuple[str, str, str]) -> None:
    """Another pool, job or branch is no successor."""
    chain = requested()
    chain.facts = _Others(later=Other(*other))
    chain.add(Supersede(successor=LATER), ANNA)
    assert "not of the same" in chain.voids()[-1]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_evidence(outcome: Outcome) -> None:
    """Only a passed build is reused; only an upstream that did not pass skips."""
    other = Other("default", "tool", "main", "f" * 40, outcome)
    for body, holds in (
        (Reused(build=EARLIER, final="f" * 40), outcome is Outcome.PASSED),
        (Reused(build=EARLIER, final="e" * 40), False),
        (Skipped(job="tool", build=EARLIER, final="f" * 40), outcome not in (Outcome.PASSED, Outcome.REUSED)),
        (Skipped(job="tool", build=LATER, final="f" * 40), False),
    ):
        chain = requested(upstream={"tool": EARLIER})
        chain.facts = _Others(earlier=other, later=other)
        chain.add(body, LAB1)
        assert chain.judge().is_final is holds


def test_moved_promises_one_build_in_another_pool() -> None:
    """Not none, not two, not here, and with an id that derives from this build."""
    good, here = _promise(0), _promise(0, "default")
    wrong = msgspec.structs.replace(good, id=LATER)
    for promises, holds in (
        ((good,), True),
        ((), False),
        ((good, _promise(1)), False),
        ((here,), False),
        ((wrong,), False),
    ):
        chain = requested()
        chain.add(Moved(promises=promises), CARA)
        assert chain.judge().is_final is holds


def test_void_promises_use_up_indices() -> None:
    """A stale result's promises do not count, and the next ones go on after them."""
    chain = requested(promises=(_promise(0),))
    first = chain.claim(LAB1, 1)
    second = chain.claim(LAB2, 2)
    chain.add(Result(claim=first, outcome=Outcome.PASSED, promises=(_promise(1),)), LAB1)
    chain.add(Result(claim=second, outcome=Outcome.PASSED, promises=(_promise(2),)), LAB2)
    assert chain.judge().is_final
    assert [promise.request.cause.index for promise in promises_of(chain.judge())] == [0, 2]


def test_priority_within_limits() -> None:
    """An owner within the policy's limit, a maintainer beyond it."""
    chain = requested()
    chain.add(Priority(priority=11), ANNA)
    chain.add(Priority(priority=10), ANNA)
    assert chain.judge().priority == 10
    chain.add(Priority(priority=500), CARA)
    assert chain.judge().priority == 500
    assert chain.voids()[1] == "an owner's priority is within -10..10"


def test_a_person_needs_an_id_of_version_7() -> None:
    """Ids of version 8 are derived, never chosen."""
    chain = Chain(id=ID.replace("-7000-", "-8000-"))
    chain.add(request(), ANNA)
    assert "version 7" in chain.judge().broken


def _triggered(**fields: object) -> Chain:
    chain = Chain()
    cause = Cause(kind=CauseKind.TRIGGER, principal="trigger:push", time=1_690_000_000_000, pushed_by=BEN)
    plain = request(cause=cause, **fields)
    digest = trigger_digest(chain.policies[0].oid, "trigger:push", "default", plain)
    chain.id = trigger_id(cause.time, digest)
    signed = msgspec.structs.replace(plain, cause=msgspec.structs.replace(cause, digest=digest))
    chain.add(signed, LAB1)
    return chain


def test_trigger_requests_are_their_digest() -> None:
    """The principal's, not the signer's; the pusher owns it where the signer may vouch; no free field."""
    chain = _triggered()
    build = chain.judge()
    assert (build.state, build.owner, build.principal) == ("waiting", BEN, "trigger:push")
    assert "only a person may set" in _triggered(priority=1).judge().broken
    chain.id = chain.id[:-1] + ("0" if chain.id[-1] != "0" else "1")
    other = Chain(id=chain.id)
    other.add(chain.links[0].record.body, LAB1)  # type: ignore[union-attr]
    assert "not the request's digest" in other.judge().broken
    body = msgspec.structs.replace(chain.links[0].record.body, branch="next")  # type: ignore[union-attr, type-var]
    changed = Chain(id=build.id)
    changed.add(body, LAB1)
    assert "the digest is not" in changed.judge().broken


def test_nobody_promised() -> None:
    """A promised request stands on its promise alone."""
    chain = Chain(id=promise_id(ID, 0))
    chain.add(request(cause=Cause(kind=CauseKind.PROMISE, build=ID)), LAB1)
    assert "no valid record promises" in chain.judge().broken


class _Promise(NoFacts):
    """One promise, of anna's."""

    def promised(self, build: str, index: int) -> Promised | None:
        return Promised(_promise(0, "default"), Origin(ANNA, ""))


def test_a_promise_outlives_whoever_made_its_ref() -> None:
    """An agent that a later policy drops had created the ref: the promise is what carries it."""
    dropped = msgspec.structs.replace(team(), agent={"lab1": team().agent["lab1"]})
    chain = Chain(id=promise_id(ID, 0), policies=[policy(1), policy(2, dropped)], facts=_Promise())
    chain.add(_promise(0, "default").request, LAB2)
    build = chain.judge()
    assert (build.state, build.owner) == ("waiting", ANNA)
    stranger = Chain(id=promise_id(ID, 0), facts=_Promise())
    stranger.add(_promise(0, "default").request, EVE)
    assert stranger.judge().broken


@pytest.mark.parametrize(
    "head", [{"repo": "x"}, {"ref": "x"}, {"build": LATER}, {"seq": 7}, {"prev": None}, {"prev_sha256": "6" * 64}]
)
def test_a_record_is_bound_to_its_place(head: dict[str, object]) -> None:
    """A record copied from elsewhere is void, and the chain goes on."""
    chain = requested()
    chain.add(Cancel(), ANNA, **head)
    assert chain.judge().state == "waiting"
    chain.add(Cancel(), ANNA)
    assert chain.judge().outcome is Outcome.CANCELLED


def test_policies_only_go_forward() -> None:
    """A record cites its parent's policy or a later one; an unknown one has to be fetched first."""
    chain = requested()
    chain.policies.append(policy(2))
    chain.add(Priority(priority=1), ANNA, cites=1)
    chain.add(Cancel(), ANNA, cites=0)
    assert "older policy" in chain.voids()[-1]
    chain.add(Cancel(), ANNA, policy="7" * 40)
    with pytest.raises(NotYet):
        chain.judge()


def test_a_stranger_stalls_no_build() -> None:
    """An unknown policy, or a record of another version, makes nobody wait who could not have written it."""
    chain = requested()
    chain.add(Cancel(), EVE, policy="7" * 40)
    assert "signed by a stranger" in chain.voids()[-1]
    before = chain.links[-1]
    chain.links.append(
        replace(before, oid="8" * 40, parents=(before.oid,), record=None, unsupported="format 9", kind="claim")
    )
    build = chain.judge()
    assert build.unsupported == ""
    assert build.entries[-1].void == "format 9, and a stranger signed it"
    assert build.claims == 1, "a version that can read it counts it, so all must"
    chain.links.append(replace(chain.links[-1], oid="9" * 40, parents=("8" * 40,), key=fake_public_key(BEN)))
    assert chain.judge().unsupported == "format 9"


def test_a_seal_ends_the_wait_for_an_unknown_policy() -> None:
    """A known signer's record makes its build wait until an admin seals it: what no policy until then is, never was."""
    chain = requested()
    oid = chain.add(Cancel(), BEN, policy="7" * 40)
    with pytest.raises(NotYet, match=r"record .* of person:ben cites policy 777777777777"):
        chain.judge()
    chain.policies.append(policy(2, seal=Seal(builds={chain.ref: chain.links[0].oid})))
    with pytest.raises(NotYet):
        chain.judge()
    chain.policies.append(policy(3, seal=Seal(builds={chain.ref: oid})))
    assert "none up to the seal" in chain.voids()[-1]
    chain.claim(LAB1, 1)
    assert chain.judge().state == "running"


def test_a_key_that_fell_makes_nobody_wait() -> None:
    """Once the liar's key is gone, the record that cites an unknown policy is a stranger's."""
    chain = requested()
    chain.add(Cancel(), BEN, policy="7" * 40)
    chain.policies.append(policy(2, _without_ben()))
    assert "signed by a stranger" in chain.voids()[-1]


def _without_ben() -> Team:
    return msgspec.structs.replace(team(), person={k: v for k, v in team().person.items() if k != "ben"})


@pytest.mark.parametrize("covered", ["by an earlier policy", "by the dropping policy", "by a later policy", ""])
def test_a_seal_freezes_what_it_covers(covered: str) -> None:
    """A dropped actor's record turns void unless an earlier policy's seal, or the dropping one's, covers it."""
    chain = Chain()
    seal = Seal(builds={chain.ref: chain.add(request(), BEN)})
    chain.policies.append(policy(2, seal=seal if "earlier" in covered else Seal()))
    chain.policies.append(policy(3, _without_ben(), seal=seal if "dropping" in covered else Seal()))
    chain.policies.append(policy(4, _without_ben(), seal=seal if "later" in covered else Seal()))
    assert (chain.judge().state == "waiting") is (covered != "" and "later" not in covered)


def test_what_comes_after_the_seal_is_judged_by_the_new_policy() -> None:
    """The sealed request stays, the same person's later cancel does not count."""
    chain = Chain()
    root = chain.add(request(), BEN)
    chain.add(Cancel(), BEN)
    chain.policies.append(policy(2, seal=Seal(builds={chain.ref: root})))
    chain.policies.append(policy(3, _without_ben()))
    assert [bool(void) for void in chain.voids()] == [False, True]


def test_keys_and_shapes() -> None:
    """Another's key is void, what is no record is void, a foreign parent breaks the ref."""
    chain = requested()
    chain.add(Cancel(), ANNA, key=EVE)
    chain.fault()
    assert chain.judge().state == "waiting"
    assert chain.voids()[2] == "no record"
    chain.links.append(chain.links[0])
    assert "other parents" in requested().judge().broken + chain.judge().broken


def test_an_attempt_key_signs_for_its_attempt() -> None:
    """It speaks for the holder, and for nothing else."""
    chain = requested()
    claim = chain.claim(LAB1, 1, attempt_key=fake_public_key("attempt"))
    chain.add(Claim(attempt=2), LAB1, key="attempt")
    chain.add(Result(claim=claim, outcome=Outcome.PASSED), LAB1, key="attempt")
    assert [bool(void) for void in chain.voids()] == [False, False, True, False]
