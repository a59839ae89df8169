"""A whole team in one process: real flows over a faulty host in memory, every interleaving from one seed.

Actors are greenlets that switch before and after each remote call; the seed decides who goes on, which faults
happen, who crashes, and how time passes. `Trace.check` asserts the promises of PROTOCOL §4.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import greenlet

from citgit.errors import CitError
from citgit.flows.builds import Repository
from citgit.flows.control import control
from citgit.flows.enqueue import Change, Doors, Wish, enqueue_person, enqueue_push
from citgit.flows.folders import listed
from citgit.flows.poll import compare, poll
from citgit.flows.publishing import publish
from citgit.flows.state import Actor, State
from citgit.flows.worker import Worker
from citgit.flows.writing import push, resend
from citgit.interfaces import Answer, Oid, Pushed, Revision, Update
from citgit.model.job import After, CitToml, Job, Limits, ResolvedJob, Trigger, Value
from citgit.model.names import Kind, Refs
from citgit.model.plan import Input
from citgit.model.policy import Seal
from citgit.model.record import Advert, Cancel, Claim, Outcome, Request, Result
from citgit.model.team import Agent, Person, Pool, Role, Team, TeamLimits, TriggerPrincipal
from citgit.rules.judge import promises_of
from citgit.testing.clock import FakeClock, SeededEntropy
from citgit.testing.keys import FakeSigner, FakeVerifier, fake_public_key
from citgit.testing.memory import Fault, Faults, MemoryHost, MemoryJournal, MemoryObjects, MemoryRemote, MemoryTips

CHANCES = {
    Fault.LOST_ANSWER: 0.05, Fault.NOT_APPLIED: 0.04, Fault.DELAYED: 0.06, Fault.CUT: 0.03, Fault.AWAY: 0.03,
}  # fmt: skip
COMMIT = "c" * 40


class SwitchingRemote:
    """A remote whose every call lets the others go first, before and after."""

    def __init__(self, remote: MemoryRemote, switch: Callable[[], None]) -> None:
        self._remote = remote
        self._switch = switch

    @property
    def url(self) -> str:
        """Where it is."""
        return self._remote.url

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """As the remote, between two switches."""
        self._switch()
        found = self._remote.fetch(prefixes)
        self._switch()
        return found

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """As the remote, between two switches."""
        self._switch()
        done = self._remote.push(updates)
        self._switch()
        return done


@dataclass(slots=True)
class Attempts:
    """A node's disk: attempts by claim, and how many polls each still takes. Survives its worker."""

    trace: Trace
    left: dict[Oid, int] = field(default_factory=dict)
    builds: dict[Oid, str] = field(default_factory=dict)
    done: set[Oid] = field(default_factory=set)

    def advert(self, boot: str, slots: int, labels: Sequence[str]) -> Advert:
        """A node with one usable executor."""
        return Advert(boot=boot, version="0", slots=slots, executors={"process": ""})

    def start(
        self, build: str, claim: Oid, request: Request, claimed: Claim, *, own: bool,
        inputs: Callable[[], Sequence[Input]] = tuple,
    ) -> str:  # fmt: skip
        """Begins to run, once; running a build that was archived before is what must never happen."""
        if claim in self.builds:
            return "memory"
        self.trace.started(build, claim)
        self.builds[claim], self.left[claim] = build, self.trace.source.randrange(1, 4)
        return "memory"

    def has(self, inputs: Sequence[Input]) -> bool:
        """Every node has all files."""
        return True

    def poll(self, claim: Oid) -> Result | None:
        """None for the first polls, then a result."""
        self.left[claim] -= 1
        return None if self.left[claim] > 0 else Result(claim=claim, outcome=Outcome.PASSED)

    def stop(self, claim: Oid, why: str) -> None:
        """Ends at the next poll."""
        self.left[claim] = 0

    def running(self) -> dict[Oid, str]:
        """What is not published."""
        return {claim: build for claim, build in self.builds.items() if claim not in self.done}

    def finish(self, claim: Oid) -> None:
        """Published."""
        self.done.add(claim)


class FakeSources:
    """One source repository whose every commit is there."""

    def heads(self, url: str) -> dict[str, Oid]:
        """One branch."""
        return {"main": COMMIT}

    def fetch(self, url: str, commit: Oid, ref: str = "") -> Revision:
        """Always there; the committer date is what a trigger's id carries."""
        return Revision(commit, 1_700_000_000_000)

    def files(self, url: str, commit: Oid, paths: Sequence[str]) -> dict[str, bytes]:
        """The commit stands for its own config."""
        return {"cit.toml": commit.encode()}

    def changed(self, url: str, old: Oid | None, new: Oid) -> list[str] | None:
        """Unknown."""
        return None


JOBS = {"check": Job(command=("make",), limits=Limits(attempts=3), trigger=Trigger(push=("main",)))}


class FakeConfigs:
    """The same two jobs at every commit: `check`, and `after` that comes after it."""

    def read(self, files: Mapping[str, bytes]) -> CitToml:
        """The jobs."""
        return CitToml(job={**JOBS, "after": Job(command=("make", "after"), after={"check": After()})})

    def resolve(self, config: CitToml, job: str, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
        """The job as it stands."""
        return [ResolvedJob(name=job, cell={}, parameters={}, job=config.job[job])]

    def selected(self, config: CitToml, branch: str, changed: Sequence[str] | None) -> list[str]:
        """The one that pushes start."""
        return ["check"]


@dataclass
class Trace:
    """One history from one seed."""

    seed: int
    workers: int = 3
    executed: Counter[str] = field(default_factory=Counter)
    accepted: set[str] = field(default_factory=set)
    ran_after_archive: list[str] = field(default_factory=list)
    claims: set[Oid] = field(default_factory=set)
    started_twice: list[Oid] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = random.Random(self.seed)
        self.host = MemoryHost(Faults(self.source, CHANCES))
        self.clock = FakeClock()
        self.refs = Refs()
        self.root = greenlet.getcurrent()
        self.pinned = ""
        self._found()

    # -- the world --------------------------------------------------------------------------------------

    def _found(self) -> None:
        agents = {f"lab{at}": Agent(key=fake_public_key(f"lab{at}"), slots=2) for at in range(self.workers)}
        team = Team(
            person={
                "anna": Person(keys=(fake_public_key("anna"),), roles=(Role.ADMIN, Role.REQUEST), groups=("dev",)),
                "ben": Person(keys=(fake_public_key("ben"),), roles=(Role.REQUEST,), groups=("dev",)),
            },
            agent={**agents, "hook": Agent(key=fake_public_key("hook"), pools=())},
            pool={"default": Pool(request=("@dev",), maintain=("anna",))},
            trigger={"push": TriggerPrincipal(keys=("@agents", "@dev"))},
            limits=TeamLimits(ttl=60, beat=20),
        )
        self.host.faults.chances = {}
        state = self.client()
        self.pinned = publish(state, self.actor("person:anna"), team, before=None, seal=Seal())
        self.host.faults.chances = CHANCES

    def client(self, tips: MemoryTips | None = None) -> State:
        """A client with a memory of its own."""
        objects = MemoryObjects()
        return State(
            refs=self.refs, objects=objects, remote=SwitchingRemote(MemoryRemote(self.host, objects), self.switch),
            tips=tips or MemoryTips(), verifier=FakeVerifier(), clock=self.clock,
            entropy=SeededEntropy(self.source, self.clock), pinned=self.pinned,
        )  # fmt: skip

    def actor(self, name: str) -> Actor:
        """An actor with a journal of its own."""
        return Actor(name=name, signer=FakeSigner(name.partition(":")[2]), journal=MemoryJournal())

    def doors(self) -> Doors:
        """Sources and configs."""
        return Doors(sources=FakeSources(), configs=FakeConfigs())  # type: ignore[arg-type]

    def switch(self) -> None:
        """Back to the scheduler, if an actor runs."""
        if greenlet.getcurrent() is not self.root:
            self.root.switch()

    def started(self, build: str, claim: Oid) -> None:
        """A command began."""
        self.executed[build] += 1
        if claim in self.claims:
            self.started_twice.append(claim)
        self.claims.add(claim)
        if build in self._archived_before:
            self.ran_after_archive.append(build)

    # -- the actors -------------------------------------------------------------------------------------

    def worker(self, at: int) -> Callable[[], None]:
        """An agent that turns; when it crashes, its disk and journal stay."""
        name = f"agent:lab{at}"
        actor, attempts, tips, boots = self.actor(name), Attempts(self), MemoryTips(), iter(range(1000))

        def life() -> None:
            worker = Worker(
                state=self.client(tips), actor=actor, doors=self.doors(), workshop=attempts,
                url="self", pools=["default"], boot=f"b{next(boots)}", node="memory", slots=2,
            )  # fmt: skip
            while True:
                worker.turn()
                self.switch()

        return life

    def requester(self, name: str, count: int) -> Callable[[], None]:
        """Asks for pipelines and pushes what was kept, until all got through."""
        actor, state = self.actor(name), self.client()

        def life() -> None:
            for _ in range(count):
                while True:
                    try:
                        snapshot = poll(state)
                        break
                    except CitError:
                        self.switch()
                change = Change(url="self", branch="main", commit=COMMIT)
                drafts = enqueue_person(state, actor, snapshot, self.doors(), change, Wish(jobs=["after"]))
                for answer in push(state, actor, drafts):
                    if answer.answer is Answer.DONE:
                        self.accepted.add(answer.update.ref.rpartition("/")[2])
                self.switch()
            while actor.journal.entries():
                for _, answer in resend(state, actor.journal):
                    if answer.answer is Answer.DONE:
                        self.accepted.add(answer.update.ref.rpartition("/")[2])
                self.switch()

        return life

    def door(self, name: str) -> Callable[[], None]:
        """Notices the same push as every other door."""
        actor, state = self.actor(name), self.client()

        def life() -> None:
            for _ in range(3):
                try:
                    repository = Repository(state, poll(state))
                    change = Change(url="self", branch="main", commit=COMMIT)
                    for asked in enqueue_push(state, actor, repository, self.doors(), change, principal="push"):
                        if not asked.kept:
                            self.accepted.add(asked.build)
                except CitError:
                    pass
                self.switch()

        return life

    def canceller(self) -> Callable[[], None]:
        """An admin who now and then cancels something."""
        actor, state = self.actor("person:anna"), self.client()

        def life() -> None:
            for _ in range(2):
                try:
                    repository = Repository(state, poll(state))
                    builds = [build for build in repository.active() if not build.is_final]
                    if builds:
                        control(state, actor, repository, self.source.choice(builds), Cancel())
                except CitError:
                    pass
                for _ in range(5):
                    self.switch()

        return life

    # -- the run ----------------------------------------------------------------------------------------

    def run(self, chaos: int = 150, calm: int = 1500) -> None:
        """Chaos with faults and crashes, then calm until everything is final and archived."""
        self._archived_before: set[str] = set()
        lives = {f"lab{at}": self.worker(at) for at in range(self.workers)}
        lives |= {"ben": self.requester("person:ben", 2), "anna": self.requester("person:anna", 1)}
        lives |= {"door0": self.door("agent:hook"), "door1": self.door("agent:lab0"), "cancel": self.canceller()}
        running = {name: greenlet.greenlet(life) for name, life in lives.items()}
        for step in range(chaos + calm):
            if step == chaos:
                self.host.faults.chances = {}
            self.clock.advance(self.source.choice((0, 1, 5, 20)))
            name = self.source.choice(sorted(running))
            if step < chaos and name.startswith("lab") and self.source.random() < 0.03:
                running[name].throw(greenlet.GreenletExit)
                running[name] = greenlet.greenlet(lives[name])
                continue
            if self.host.delayed and self.source.random() < 0.1:
                self.host.land()
            running[name].switch()
            if running[name].dead:
                del running[name]
            self._note_archived()
            if step > chaos and step % 50 == 0 and not self.host.delayed and self._quiet(running):
                break
        for each in running.values():
            each.throw(greenlet.GreenletExit)

    def _quiet(self, running: Mapping[str, object]) -> bool:
        busy = any(place.kind is Kind.BUILD for ref in self.host.refs if (place := self.refs.parse(ref)))
        return not busy and all(name.startswith("lab") for name in running)

    def _note_archived(self) -> None:
        state = self.reader()
        for ref, tip in self.host.refs.items():
            place = self.refs.parse(ref)
            if place and place.kind is Kind.ARCHIVE:
                for build in listed(state, tip):
                    self._archived_before.add(build)

    def reader(self) -> State:
        """A reader at the host itself, without faults."""
        return State(
            refs=self.refs, objects=self.host.objects, remote=MemoryRemote(MemoryHost(), self.host.objects),
            tips=MemoryTips(), verifier=FakeVerifier(), clock=self.clock,
            entropy=SeededEntropy(random.Random(0), self.clock), pinned=self.pinned,
        )  # fmt: skip

    def check(self) -> None:
        """Asserts the promises; a failure names the seed."""
        state = self.reader()
        snapshot = compare(state, dict(self.host.refs), ("refs/cit/",), [])
        repository = Repository(state, snapshot)
        builds = {build.id: build for build in (*repository.active(), *repository.archived())}
        where = f"seed {self.seed}: python -m citgit.testing.simulation {self.seed}"
        for wanted in sorted(self.accepted):
            assert wanted in builds, f"accepted request {wanted} is lost; {where}"
        for build_id, build in builds.items():
            assert not build.broken, f"{build_id} is broken: {build.broken}; {where}"
            assert build.is_final, f"{build_id} never ended: {build.state}; {where}"
            results = [
                entry for entry in build.entries
                if not entry.void and entry.link.record and entry.link.record.head.type == "result"
            ]  # fmt: skip
            assert len(results) <= 1, f"{build_id} has {len(results)} results; {where}"
            for entry in results:
                body = entry.link.record.body if entry.link.record else None
                assert isinstance(body, Result), where
                holder = build.held.claim if build.held else ""
                assert body.claim == holder, f"{build_id}: not the holder's result; {where}"
            most = build.request.max_attempts if build.request else 0
            assert build.valid_claims <= most, f"{build_id}: {build.valid_claims} of {most} attempts; {where}"
            for promise in promises_of(build):
                assert promise.id in builds, f"promised build {promise.id} is lost; {where}"
        assert not self.started_twice, f"claims started twice: {self.started_twice}; {where}"
        assert not self.ran_after_archive, f"archived builds ran again: {self.ran_after_archive}; {where}"


def main(argv: Sequence[str]) -> int:
    """`python -m citgit.testing.simulation SEED [COUNT]`: one trace, or COUNT of them from SEED on."""
    first, count = int(argv[0]), int(argv[1]) if len(argv) > 1 else 1
    for seed in range(first, first + count):
        trace = Trace(seed)
        trace.run()
        trace.check()
    print(f"{count} traces from seed {first}: all promises held")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
