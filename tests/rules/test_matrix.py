"""Every cell of the authorisation matrix, allow and deny, against `judge`; the documented table is the same one."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from chains import EARLIER, ID, LATER, Chain, policy, request
from matrix import ACTORS, CELLS, table

from citgit.errors import Refused
from citgit.model.build import Link
from citgit.model.job import Job, Keep, Visibility, Where
from citgit.model.policy import PolicyView, Seal
from citgit.model.record import (
    Body,
    Cancel,
    Cause,
    CauseKind,
    Claim,
    Config,
    Expired,
    Head,
    Lost,
    Moved,
    Outcome,
    Pause,
    Payload,
    Policy,
    Priority,
    Progress,
    Promise,
    Record,
    Result,
    Resume,
    Reused,
    Skipped,
    Supersede,
)  # fmt: skip
from citgit.model.team import Agent, Alias, Person, Pool, Role, Team, TriggerPrincipal
from citgit.rules import policies, private
from citgit.rules.authority import fallen
from citgit.rules.facts import NoFacts, Other
from citgit.rules.ids import promise_id, trigger_digest, trigger_id
from citgit.testing.keys import fake_public_key

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "policy.md"
AGENTS = {"agent": ("default",), "stray": ("other",), "hook": (), "ex-agent": ("default",), "second": ("default",)}
ROLES = {
    "requester": Role.REQUEST, "outsider": Role.REQUEST, "maintainer": Role.MAINTAIN, "elsewhere": Role.MAINTAIN,
    "reader": Role.READ, "deputy": Role.ALIAS, "admin": Role.ADMIN, "ex-person": Role.ADMIN, "somebody": Role.REQUEST,
}  # fmt: skip


class _Facts(NoFacts):
    """A passed build before this one, a failed upstream, a waiting one after it."""

    def other(self, build: str) -> Other | None:
        outcome = {EARLIER: Outcome.PASSED, UPSTREAM: Outcome.FAILED}.get(build)
        return Other("default", "check", "main", "f" * 40 if outcome else "", outcome)


UPSTREAM = EARLIER[:-1] + "7"


def actor(name: str) -> str:
    """As records write it."""
    return f"agent:{name}" if name in AGENTS else f"person:{name}"


def team(everybody: bool = False) -> Team:
    """One person or agent per actor of the matrix; with `everybody` all people may request, as they once could."""
    return Team(
        person={
            name: Person(keys=(fake_public_key(actor(name)),), roles=(Role.REQUEST, role) if everybody else (role,))
            for name, role in ROLES.items()
        },
        agent={name: Agent(key=fake_public_key(actor(name)), pools=pools) for name, pools in AGENTS.items()},
        pool={
            "default": Pool(
                request=("@people",) if everybody else ("requester", "somebody"),
                maintain=("maintainer", "ex-person"), jobs=("check", "tool"), branches=("main", "release/*"),
            ),
            "other": Pool(request=("somebody",)),
        },
        trigger={"push": TriggerPrincipal(keys=("hook", "ex-agent"))},
        alias={
            "release": Alias(config=("main",), nodes=("agent", "ex-agent"), request=("deputy", "ex-person")),
            "remote": Alias(config=("main",), nodes=("nowhere",), request=("somebody",)),
        },
    )  # fmt: skip


def now(**fields: object) -> PolicyView:
    """The policy that revoked the exes, as version 2."""
    keys = {fake_public_key(actor(name)): "left" for name in ("ex-person", "ex-agent")}
    plain = policy(2, team())
    return replace(plain, revoked=keys, **fields)  # type: ignore[arg-type]


class Case:
    """A chain that begins under the old policy, whose seal the new one holds; the actor's record is judged by both."""

    def __init__(self, name: str, owner: str, pool: str = "default", **fields: object) -> None:
        self.name = name
        self.chain = Chain(policies=[policy(1, team(everybody=True))], pool=pool, facts=_Facts())
        self.chain.add(request(**{"upstream": {"tool": UPSTREAM}, **fields}), owner)

    def before(self, body: Body, who: str) -> str:
        """Something that happened before the new policy."""
        return self.chain.add(body, who)

    def allows(self, body: Body, **fields: object) -> bool:
        """Whether the actor's record counts under the new policy."""
        sealed = Seal(builds={self.chain.ref: self.chain.links[-1].oid})
        self.chain.policies.append(now(seal=sealed, **fields))
        self.chain.add(body, actor(self.name), cites=1)
        voids = self.chain.voids()
        assert not any(voids[:-1]), voids
        return voids[-1] == ""


def requests(name: str, pool: str = "default", **fields: object) -> bool:
    """Whether the actor's request stands under the new policy."""
    chain = Chain(policies=[policy(1, team(everybody=True)), now()], pool=pool)
    body = request(**fields)
    if body.cause.kind is CauseKind.TRIGGER:
        digest = trigger_digest(chain.policies[0].oid, body.cause.principal, pool, body)
        chain.id = trigger_id(body.cause.time, digest)
        body = msgspec.structs.replace(body, cause=msgspec.structs.replace(body.cause, digest=digest))
    chain.add(body, actor(name), cites=1)
    return not chain.judge().broken


def _alias(name: str) -> Job:
    return Job(command=("true",), place=Where(as_=f"alias:{name}"))


def _config(branch: str, repo: str = "self") -> Config:
    return Config(branch=branch, commit="a" * 40, repo=repo)


def _request(name: str, what: str) -> bool:
    trigger = Cause(kind=CauseKind.TRIGGER, principal="trigger:push", time=1_690_000_000_000)
    fields: dict[str, dict[str, object]] = {
        "a job and branch of the pool": {},
        "a job that the pool does not list": {"job": "deploy"},
        "a branch that the pool does not list": {"branch": "evil"},
        "with config from a branch that the pool does not list": {"config": _config("evil")},
        "an alias's job, config from its branch": {"definition": _alias("release")},
        "an alias's job, config from another branch": {"definition": _alias("release"), "config": _config("release/1")},
        "an alias's job, config from another repository": {
            "definition": _alias("release"), "config": _config("main", "/tmp/x"),
        },
        "to build on their own machine": {"pool": "here"},
        "in a trigger's name": {"cause": trigger},
    }  # fmt: skip
    return requests(name, **fields[what])  # type: ignore[arg-type]


def _claim(name: str, what: str) -> bool:
    owner = actor("somebody")
    match what:
        case "a build of another pool":
            return Case(name, owner, pool="other").allows(Claim(attempt=1))
        case "an alias's build on its node":
            deputy = actor("deputy")
            return Case(name, deputy, definition=_alias("release")).allows(Claim(attempt=1))
        case "an alias's build on no node of its":
            chain = Case(name, actor("deputy"), definition=_alias("release"))
            old = chain.chain.policies[0].team
            aliases = {**old.alias, "release": msgspec.structs.replace(old.alias["release"], nodes=("second",))}
            return chain.allows(Claim(attempt=1), team=msgspec.structs.replace(team(), alias=aliases))
        case "their own build, on their own machine":
            return name in ROLES and Case(name, actor(name), pool="here").allows(Claim(attempt=1))
        case "another's build, on their own machine":
            return Case(name, owner, pool="here").allows(Claim(attempt=1))
        case "anything while the policy holds claims":
            return Case(name, owner).allows(Claim(attempt=1), hold=True)
    return Case(name, owner).allows(Claim(attempt=1))


def _held(name: str, holder: str, body: type[Result] | type[Progress] | type[Lost], **fields: object) -> bool:
    case = Case(name, actor("somebody"), max_attempts=1)
    claim = case.before(Claim(attempt=1), actor(holder))
    return case.allows(body(claim=claim, **fields))  # type: ignore[arg-type]


def _hold_actions(name: str, action: str, what: str) -> bool:
    if "their own" in what and name not in ROLES:
        return False  # only people own builds
    owner = actor(name) if "their own" in what else actor("somebody")
    case = Case(name, owner)
    if action == "resume":
        by = {"paused by its owner": owner, "paused by a maintainer": actor("maintainer")}
        at = 5 if "until a time" in what else None
        case.before(Pause(at=at), next((who for words, who in by.items() if words in what), owner))
        return case.allows(Resume())
    promise = Promise(
        id=promise_id(ID, 0), pool="other", request=request(cause=Cause(kind=CauseKind.PROMISE, build=ID, index=0))
    )
    bodies: dict[str, Body] = {
        "cancel": Cancel(), "pause": Pause(), "expired": Expired(), "supersede": Supersede(successor=LATER),
        "reused": Reused(build=EARLIER, final="f" * 40), "moved": Moved(promises=(promise,)),
        "skipped": Skipped(job="tool", build=UPSTREAM, final="f" * 40),
        "priority": Priority(priority=500 if "beyond" in what else 3),
    }  # fmt: skip
    return case.allows(bodies[action])


def _triggered(name: str) -> bool:
    cause = Cause(kind=CauseKind.TRIGGER, principal="trigger:push", time=1_690_000_000_000)
    chain = Chain(policies=[policy(1, team(everybody=True))], facts=_Facts())
    digest = trigger_digest(chain.policies[0].oid, "trigger:push", "default", request(cause=cause))
    chain.id = trigger_id(cause.time, digest)
    chain.add(request(cause=msgspec.structs.replace(cause, digest=digest)), actor("hook"))
    case = Case(name, actor("somebody"))
    case.chain = chain
    later = "f" * 8 + "-0000-7000-8000-" + "0" * 12
    return case.allows(Supersede(successor=later))


def _publishes(name: str) -> bool:
    files = tuple(Payload(name=each, sha256="0" * 64, size=1) for each in ("policy.json", "seal.json"))
    before = now()
    head = Head(
        type="policy", repo="", ref="refs/cit/policy", seq=2, prev=None, prev_sha256=None, nonce="0" * 32, policy="",
        actor=actor(name), time=1,
    )  # fmt: skip
    link = Link(
        oid="9" * 40, sha256="", parents=(before.oid,), tree="", key=fake_public_key(actor(name)),
        record=Record(head=head, body=Policy(version=3, files=files)),
    )  # fmt: skip
    try:
        policies.accept(before, link, "refs/cit/policy", 2, team(), Seal())
    except Refused:
        return False
    return True


def _reads(name: str, action: str, what: str) -> bool:
    if "of theirs" in what and name not in ROLES:
        return False  # only people own builds
    owner = actor(name) if "of theirs" in what else actor("somebody")
    readers = tuple(ACTORS) if "names them" in what else ()
    asked = request(definition=Job(command=("true",), keep=Keep(visibility=Visibility.PRIVATE, readers=readers)))
    if action == "grant":
        build = msgspec.structs.replace(Case("anybody", actor("somebody")).chain.judge(), owner=owner)
        stands = name in (*ROLES, *AGENTS) and not fallen(now(), actor(name))
        return stands and private.may_grant(now().team, actor(name), build)
    found = private.keys_of(now(), private.readers(now(), asked, pool="default", owner=owner))
    return fake_public_key(actor(name)) in found


def allowed(name: str, action: str, what: str) -> bool:
    """What the rules say of a cell."""
    match action:
        case "request":
            return _request(name, what)
        case "claim":
            return _claim(name, what)
        case "result" | "progress":
            holder = "second" if "another's" in what or name not in ("agent", "ex-agent") else name
            fields = {"outcome": Outcome.PASSED} if action == "result" else {"phase": "x"}
            return _held(name, holder, Result if action == "result" else Progress, **fields)
        case "lost":
            return _held(name, "second", Lost)
        case "policy":
            return _publishes(name)
        case "read" | "grant":
            return _reads(name, action, what)
    return _triggered(name) if what == "a trigger's build" else _hold_actions(name, action, what)


@pytest.mark.parametrize(("action", "what"), CELLS, ids=lambda part: part.replace(" ", "-"))
def test_every_cell(action: str, what: str) -> None:
    """For each actor the rules say what the table says."""
    found = {name for name in ACTORS if allowed(name, action, what)}
    assert found == CELLS[action, what]


def test_the_documented_table_is_this_one() -> None:
    """Between the markers of docs/concepts/policy.md; CIT_GOLDEN=write writes it."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition("<!-- matrix -->\n")
    inside, _, after = rest.partition("<!-- /matrix -->")
    if os.environ.get("CIT_GOLDEN") == "write":
        PAGE.write_text(f"{before}<!-- matrix -->\n{table()}<!-- /matrix -->{after}", "utf-8")
        return
    assert inside == table()
