"""A small builder of chains: links made directly, with keys that belong to nobody."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from msgspec.structs import replace

from citgit.model.build import Build, Link
from citgit.model.job import Job
from citgit.model.names import Kind, Place
from citgit.model.policy import PolicyChain, PolicyView, Seal
from citgit.model.record import Body, Cause, Claim, Config, Head, PinnedSource, Record, Request
from citgit.model.team import Agent, Person, Pool, Role, Team, TriggerPrincipal
from citgit.records.registry import BY_BODY
from citgit.rules.facts import Facts, NoFacts
from citgit.rules.judge import judge
from citgit.testing.keys import fake_public_key

ID = "01890000-0000-7000-8000-000000000001"
LATER = "01890000-0000-7000-8000-000000000002"
EARLIER = "01880000-0000-7000-8000-000000000002"
ANNA, BEN, CARA, EVE = "person:anna", "person:ben", "person:cara", "person:eve"
LAB1, LAB2 = "agent:lab1", "agent:lab2"


def team() -> Team:
    """anna and ben may request, cara maintains, lab1 and lab2 claim; eve is a stranger."""
    people = {"anna": (Role.REQUEST,), "ben": (Role.REQUEST,), "cara": (Role.MAINTAIN, Role.ADMIN)}
    return Team(
        person={name: Person(keys=(fake_public_key(f"person:{name}"),), roles=r) for name, r in people.items()},
        agent={name: Agent(key=fake_public_key(f"agent:{name}")) for name in ("lab1", "lab2")},
        pool={"default": Pool(request=("@people",), maintain=("cara",)), "other": Pool(request=("@people",))},
        trigger={"push": TriggerPrincipal(keys=("@agents", "anna"), vouches=("lab1",))},
    )


def policy(number: int, of: Team | None = None, *, seal: Seal | None = None, hold: bool = False) -> PolicyView:
    """The policy with that version."""
    return PolicyView(oid=f"{number:040x}", version=number, team=of or team(), seal=seal or Seal(), hold=hold)


def request(**fields: object) -> Request:
    """A person's request of the job "check" on main."""
    plain: dict[str, object] = {
        "job": "check", "branch": "main", "config": Config(branch="main", commit="a" * 40),
        "definition": Job(command=("true",)), "sources": (PinnedSource(ref="main", commit="a" * 40),),
        "cause": Cause(), "max_attempts": 2,
    }  # fmt: skip
    return Request(**(plain | fields))  # type: ignore[arg-type]


@dataclass
class Chain:
    """A build's chain under construction; `policies` may grow, `facts` answer what lies beyond it."""

    policies: list[PolicyView] = field(default_factory=lambda: [policy(1)])
    id: str = ID
    pool: str = "default"
    facts: Facts = field(default_factory=NoFacts)
    links: list[Link] = field(default_factory=list)

    @property
    def ref(self) -> str:
        """Where the build stands."""
        return f"refs/cit/builds/{self.pool}/{self.id}"

    def add(self, body: Body, actor: str, *, key: str = "", cites: int = 0, **head: object) -> str:
        """Appends a record signed by the actor (or by the owner of `key`); its oid."""
        before = self.links[-1] if self.links else None
        common = Head(
            type=BY_BODY[type(body)].type.value, repo=self.policies[0].oid, ref=self.ref, build=self.id,
            seq=len(self.links), prev=before.oid if before else None, prev_sha256=before.sha256 if before else None,
            nonce="0" * 32, policy=self.policies[cites].oid, actor=actor, time=100 + len(self.links),
        )  # fmt: skip
        record = Record(
            head=type(common)(**({f: getattr(common, f) for f in common.__struct_fields__} | head)), body=body
        )
        oid = hashlib.sha1(f"{self.id} {len(self.links)}".encode(), usedforsecurity=False).hexdigest()
        parents = (before.oid,) if before else ()
        self.links.append(
            Link(oid=oid, sha256="5" * 64, parents=parents, tree="", key=fake_public_key(key or actor), record=record)
        )
        return oid

    def claim(self, actor: str, attempt: int, **fields: str) -> str:
        """Appends a claim; its oid."""
        return self.add(Claim(attempt=attempt, **fields), actor)  # type: ignore[arg-type]

    def fault(self) -> None:
        """Appends a commit that is no record."""
        before = self.links[-1]
        self.links.append(replace(before, oid="9" * 40, parents=(before.oid,), record=None, fault="no record"))

    def judge(self) -> Build:
        """The verdict."""
        place = Place(Kind.BUILD, self.pool, self.id)
        return judge(self.ref, place, self.links, PolicyChain(tuple(self.policies)), self.facts)

    def voids(self) -> list[str]:
        """For each record, why it is void."""
        return [entry.void for entry in self.judge().entries]


def requested(**fields: object) -> Chain:
    """A chain that holds anna's request."""
    chain = Chain()
    chain.add(request(**fields), ANNA)
    return chain
