"""The world of one trace: the host, everybody's machines, who goes on next, and what is noted of what happened."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import greenlet

from citgit.flows.answers import Judged
from citgit.flows.enqueue import Doors
from citgit.flows.folders import listed, tip_in
from citgit.flows.policies import read_policies
from citgit.flows.publishing import publish
from citgit.flows.state import Actor, State
from citgit.interfaces import Answer, Oid, Pushed, Update
from citgit.model.build import Link
from citgit.model.names import Kind, Refs
from citgit.model.policy import PolicyChain, Seal
from citgit.model.team import Agent, Person, Pool, Role, Team, TeamLimits, TriggerPrincipal
from citgit.testing.clock import FakeClock, SeededEntropy, Skewed
from citgit.testing.keys import FakeSigner, FakeVerifier, fake_public_key
from citgit.testing.memory import Faults, MemoryHost, MemoryJournal, MemoryObjects, MemoryRemote, MemoryTips
from citgit.testing.simulation.node import Attempts, Branch, Node, SameConfig
from citgit.testing.simulation.profile import Profile

T = TypeVar("T")
WORKERS = ("lab0", "lab1", "lab2")
STEPPERS = "steps"
"""An agent whose key two nodes share, both driven by the small programs."""
ARCHIVERS = ("arch0", "arch1")


class Shared(dict[Oid, T]):
    """What was once worked out of commits and all clients share; each still has only what it fetched."""

    def __init__(self, shared: dict[Oid, T], objects: MemoryObjects) -> None:
        super().__init__()
        self._shared = shared
        self._objects = objects

    def __contains__(self, oid: object) -> bool:
        return oid in self._shared and oid in self._objects.content

    def __getitem__(self, oid: Oid) -> T:
        return self._shared[oid]

    def __setitem__(self, oid: Oid, found: T) -> None:
        self._shared[oid] = found


class Switching:
    """A node's remote, whose every call lets the others go first, before and after; it sees that pushes are kept."""

    def __init__(self, world: World, node: Node) -> None:
        self._world = world
        self._node = node
        self._remote = MemoryRemote(world.host, node.objects)
        self._polled: frozenset[str] = frozenset()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._remote.url

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """As the remote, after a switch: what others do after it, they may as well do before the next call."""
        if self._world.same_ids and self._is_further_month(prefixes):
            # only a clock that is wrong makes a poll ask for other months and come back for these: in a comparison
            # that takes nobody's turn and draws no fault, or the histories would part without any verdict
            return MemoryRemote(self._world.host.without_faults(), self._node.objects).fetch(prefixes)
        self._world.switch()
        if self._world.refs.policy in prefixes:
            self._polled = frozenset(prefixes)
        return self._remote.fetch(prefixes)

    def _is_further_month(self, prefixes: Sequence[str]) -> bool:
        places = [self._world.refs.parse(each) for each in prefixes if each not in self._polled]
        return len(places) == len(prefixes) and all(one is not None and one.kind is Kind.ARCHIVE for one in places)

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """As the remote, between two switches: after the second the answer may never be read."""
        kept = {entry.new for entry in self._node.actor.journal.entries()} | set(self._node.tips.tips.values())
        self._world.unjournalled += [each.ref for each in updates if each.new and each.new not in kept]
        self._world.may_sleep(self._node, updates)
        self._world.switch()
        self._world.may_ambush({each.ref for each in updates})
        done = self._remote.push(updates)
        self._world.switch()
        return done


@dataclass
class World:
    """One history from one seed: `same_ids` makes ids from the common clock, whatever anybody's clock shows."""

    seed: int
    profile: Profile
    skewed: bool = True
    same_ids: bool = False
    executed: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    claims: set[Oid] = field(default_factory=set)
    started_twice: list[Oid] = field(default_factory=list)
    ran_after_archive: list[str] = field(default_factory=list)
    unjournalled: list[str] = field(default_factory=list)
    wanted: str = ""
    """What the admin is to do next: "restore", "release" or "revoke"."""
    idle: set[str] = field(default_factory=set)
    restored: bool = False
    dropped: int | None = None
    """When a policy landed that drops the last worker."""
    asleep: set[str] = field(default_factory=set)
    landed: dict[Oid, int] = field(default_factory=dict)
    """When (in the host's log) a commit became the tip of its ref."""
    archived: dict[str, tuple[int, Oid]] = field(default_factory=dict)
    """When a build was first archived, and at which tip."""

    def __post_init__(self) -> None:
        self.source = random.Random(f"{self.profile.name} {self.seed}")
        # of its own, so that the same seed without skewed clocks gives the same history
        self.times = random.Random(f"times {self.seed}")
        self.host = MemoryHost(Faults(self.source))
        self.clock = FakeClock()
        self.refs = Refs()
        self.root = greenlet.getcurrent()
        self.pinned = ""
        self.branch = Branch(self.source)
        self.nodes: dict[str, Node] = {}
        # what depends on the bytes alone is worked out once, for everybody
        self._links: dict[Oid, Link] = {}
        self._chains: dict[Oid, PolicyChain] = {}
        self._judged: dict[tuple[str, Oid, Oid], Judged] = {}
        self._read = 0
        self.ttl = self.source.choice(self.profile.ttls)
        self.pinned = publish(
            self.client(self.node("anna", "person:anna")),
            self.nodes["anna"].actor,
            self.team(),
            before=None,
            seal=Seal(),
        )

    def team(self, without: str = "") -> Team:
        """Who may do what: all of the team, or all but one agent."""
        keys = [*WORKERS, STEPPERS, *ARCHIVERS]
        agents = {name: Agent(key=fake_public_key(name), slots=2) for name in keys if name != without}
        return Team(
            person={
                "anna": Person(keys=(fake_public_key("anna"),), roles=(Role.ADMIN, Role.REQUEST), groups=("dev",)),
                "ben": Person(keys=(fake_public_key("ben"),), roles=(Role.REQUEST,), groups=("dev",)),
            },
            agent={**agents, "hook": Agent(key=fake_public_key("hook"), pools=())},
            pool={"default": Pool(request=("@dev",), maintain=("anna",))},
            trigger={"push": TriggerPrincipal(keys=("@agents", "@dev"))},
            limits=TeamLimits(ttl=self.ttl, beat=self.ttl // 3),
        )

    # -- what lives use ---------------------------------------------------------------------------------

    def node(self, name: str, actor: str) -> Node:
        """A machine of somebody, with a clock of its own."""
        self.nodes[name] = Node(
            name=name, actor=Actor(name=actor, signer=FakeSigner(actor.partition(":")[2]), journal=MemoryJournal()),
            clock=Skewed(self.clock, zero=1000.0 * len(self.nodes)),
            attempts=Attempts(self.source, self.started, self.profile.length),
        )  # fmt: skip
        return self.nodes[name]

    def client(self, node: Node) -> State:
        """A program on the node that starts now."""
        ids = self.clock if self.same_ids else node.clock
        return State(
            refs=self.refs, objects=node.objects, remote=Switching(self, node), tips=node.tips,
            verifier=FakeVerifier(), clock=node.clock, entropy=SeededEntropy(self.source, ids), pinned=self.pinned,
            links=Shared(self._links, node.objects), chains=Shared(self._chains, node.objects), judged=self._judged,
        )  # fmt: skip

    def doors(self) -> Doors:
        """Sources and configs."""
        return Doors(sources=self.branch, configs=SameConfig())

    def switch(self) -> None:
        """Back to the scheduler, if an actor runs."""
        if greenlet.getcurrent() is not self.root:
            self.root.switch()

    def tell(self, node: Node, *, idle: bool) -> None:
        """Whether the node's program has nothing left to ask for."""
        (self.idle.add if idle else self.idle.discard)(node.name)

    def restore(self, backup: Mapping[str, Oid]) -> None:
        """The host comes back as it was."""
        self.note()
        self.host.restore(backup)
        self.restored, self.wanted = True, "restore"
        places = {ref: place for ref in backup if (place := self.refs.parse(ref))}
        kept = {
            build for ref, place in places.items() if place.kind is Kind.ARCHIVE
            for build, _ in self.listing(backup[ref])
        }  # fmt: skip
        self.archived = {build: found for build, found in self.archived.items() if build in kept}

    def lose_disk(self, node: Node) -> None:
        """A machine comes back with an empty disk; what neither the host nor anybody else knows now was lost twice."""
        node.lose_disk()
        if not self.restored:
            return
        known = {*self.host.refs, *(ref for one in self.nodes.values() for ref in one.tips.tips)}
        known |= {entry.ref for one in self.nodes.values() for entry in one.actor.journal.entries()}
        kept = {ref.rpartition("/")[2] for ref in known} | set(self.archived)
        self.accepted &= kept

    def may_sleep(self, node: Node, updates: Sequence[Update]) -> None:
        """Notes that the node's program stops here, in front of a claim."""
        claims = {entry.new for entry in node.actor.journal.entries() if entry.kind == "claim"}
        if claims & {each.new for each in updates} and self.source.random() < self.profile.sleep:
            self.asleep.add(node.name)

    def may_ambush(self, refs: set[str]) -> None:
        """Lets late pushes to these refs land now, a moment before another one arrives there."""
        if any(one.update.ref in refs for one in self.host.delayed) and self.source.random() < self.profile.ambush:
            for at in reversed(range(len(self.host.delayed))):
                if self.host.delayed[at].update.ref in refs:
                    self.host.land(at)

    def accept(self, answers: Sequence[Pushed]) -> None:
        """Notes the requests that the host took."""
        self.accepted |= {one.update.ref.rpartition("/")[2] for one in answers if one.answer is Answer.DONE}

    def started(self, build: str, claim: Oid) -> None:
        """A command began. That its build was archived before the claim was even made must never be."""
        self.note()
        self.executed[build] += 1
        if claim in self.claims:
            self.started_twice.append(claim)
        self.claims.add(claim)
        if build in self.archived and self.archived[build][0] < self.landed.get(claim, -1):
            self.ran_after_archive.append(build)

    # -- what is noted ----------------------------------------------------------------------------------

    def note(self) -> None:
        """Reads on in the host's log: which commits became tips, and which builds were archived."""
        for at in range(self._read, len(self.host.log)):
            update, answer = self.host.log[at]
            place = self.refs.parse(update.ref)
            if answer is not Answer.DONE or update.new is None or place is None:
                continue
            self.landed.setdefault(update.new, at)
            if place.kind is Kind.POLICY and self.dropped is None:
                team = read_policies(self.reader(), update.new).tip.team
                self.dropped = None if WORKERS[-1] in team.agent else at
            if place.kind is Kind.ARCHIVE:
                for build, tip in self.listing(update.new):
                    self.archived.setdefault(build, (at, tip))
        self._read = len(self.host.log)

    def listing(self, archive: Oid) -> Iterator[tuple[str, Oid]]:
        """The builds of one archive, with the tips that it holds."""
        state = self.reader()
        for build in listed(state, archive):
            yield build, tip_in(state, archive, build)

    def reader(self) -> State:
        """A reader at the host itself, without faults."""
        return State(
            refs=self.refs, objects=self.host.objects, remote=MemoryRemote(MemoryHost(), self.host.objects),
            tips=MemoryTips(), verifier=FakeVerifier(), clock=self.clock,
            entropy=SeededEntropy(random.Random(0), self.clock), pinned=self.pinned,
            links=Shared(self._links, self.host.objects), chains=Shared(self._chains, self.host.objects),
        )  # fmt: skip

    def step_clocks(self, names: Sequence[str]) -> None:
        """Now and then somebody's clock shows another time, by a day or by ten years."""
        if not self.skewed or self.times.random() >= self.profile.step:
            return
        node = self.nodes[self.times.choice(sorted(names))]
        node.clock.offset = self.times.choice((0, 86_400, -86_400, 315_360_000, -315_360_000))


Life = Callable[[], None]
Lives = Mapping[str, Life]
