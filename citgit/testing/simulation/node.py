"""What a team works on: machines whose disks survive crashes (or not), sources, and the jobs in them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from citgit.errors import Bug, Errored, NotYet
from citgit.flows.state import Actor
from citgit.interfaces import Oid, Revision
from citgit.model.job import After, CitToml, Job, Limits, ResolvedJob, Trigger, Value
from citgit.model.plan import Input
from citgit.model.record import Advert, Claim, Decision, Outcome, Request, Result
from citgit.testing.clock import Skewed
from citgit.testing.keys import FakeSigner
from citgit.testing.memory import MemoryJournal, MemoryObjects, MemoryTips

COMMITS = ("c" * 40, "d" * 40)
"""What is pushed to the branch, one after the other."""

JOBS = {
    "check": Job(command=("make",), limits=Limits(attempts=3), trigger=Trigger(push=("main",))),
    "after": Job(command=("make", "after"), after={"check": After()}),
}


@dataclass(slots=True)
class Attempts:
    """A node's place for attempts: how many polls each still takes. `started` is told of every command."""

    source: random.Random
    started: Callable[[str, Oid], None]
    length: int = 4
    left: dict[Oid, int] = field(default_factory=dict)
    ends: dict[Oid, Outcome] = field(default_factory=dict)
    builds: dict[Oid, str] = field(default_factory=dict)
    done: set[Oid] = field(default_factory=set)

    def advert(self, boot: str, slots: int, labels: Sequence[str], tools: Sequence[str] | None = None) -> Advert:
        """A node with one usable executor."""
        return Advert(boot=boot, version="0", slots=slots, executors={"process": ""})

    def start(
        self, build: str, claim: Oid, request: Request, claimed: Claim, *, own: bool,
        inputs: Callable[[], Sequence[Input]] = tuple,
    ) -> str:  # fmt: skip
        """Begins to run, once; now and then the node cannot."""
        if claim in self.builds:
            return "memory:/attempt"
        if self.source.random() < 0.02:
            raise Errored("no space left on the device")
        self.started(build, claim)
        self.builds[claim], self.left[claim] = build, self.source.randrange(1, self.length)
        # not from the claim's oid, which depends on the clock
        drawn = crc32(f"{build} {claimed.attempt}".encode()) % 20
        self.ends[claim] = Outcome.ERRORED if drawn == 0 else Outcome.FAILED if drawn < 4 else Outcome.PASSED
        return "memory:/attempt"

    def has(self, inputs: Sequence[Input]) -> bool:
        """Every node has all files."""
        return True

    def can_build(self, request: Request, *, own: bool) -> list[Decision]:
        """No job asks."""
        return []

    def short(self) -> str:
        """There is room."""
        return ""

    def poll(self, claim: Oid) -> Result | None:
        """None for the first polls, then a result; always the same one, as from a file."""
        if claim not in self.left:
            return None
        self.left[claim] -= 1
        return None if self.left[claim] > 0 else Result(claim=claim, outcome=self.ends[claim])

    def stop(self, claim: Oid, why: str) -> None:
        """Ends at the next poll."""
        self.left[claim] = 0

    def descriptors(self) -> tuple[int, ...]:
        """Nothing here wakes anybody."""
        return ()

    def running(self) -> dict[Oid, str]:
        """What is not published."""
        return {claim: build for claim, build in self.builds.items() if claim not in self.done}

    def finish(self, claim: Oid) -> None:
        """Published."""
        self.done.add(claim)


@dataclass(slots=True)
class Node:
    """One clone or machine of somebody: what survives when its programs crash."""

    name: str
    actor: Actor
    clock: Skewed
    attempts: Attempts
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    tips: MemoryTips = field(default_factory=MemoryTips)
    boots: int = 0

    def lose_disk(self) -> None:
        """A new disk: no memory, no journal, nothing runs."""
        key = self.actor.name.partition(":")[2]
        self.actor = Actor(name=self.actor.name, signer=FakeSigner(key), journal=MemoryJournal())
        self.attempts = Attempts(self.attempts.source, self.attempts.started, self.attempts.length)
        self.objects, self.tips = MemoryObjects(), MemoryTips()


class Branch:
    """One source repository with one branch, whose newest commit not every node can fetch at once."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self.head = COMMITS[0]

    def heads(self, url: str) -> dict[str, Oid]:
        """Where the branch is."""
        return {"main": self.head}

    def fetch(self, url: str, commit: Oid, ref: str = "") -> Revision:
        """The committer date, which a trigger's id carries, in the order of the commits. Raises NotYet at times."""
        if commit == COMMITS[1] and self._source.random() < 0.1:
            raise NotYet(f"commit {commit[:12]} is not there yet")
        return Revision(commit, 1_700_000_000_000 + COMMITS.index(commit))

    def on_branch(self, url: str, branch: str, commit: Oid) -> bool:
        """Nobody lies about branches here."""
        return True

    def files(self, url: str, commit: Oid, paths: Sequence[str]) -> dict[str, bytes]:
        """The commit stands for its own config."""
        return {"cit.toml": commit.encode()}

    def changed(self, url: str, old: Oid | None, new: Oid) -> list[str] | None:
        """Unknown."""
        return None

    def checkout(self, url: str, commit: Oid, target: Path, *, submodules: bool) -> list[Path]:
        """Nobody checks out: nothing is really built."""
        raise Bug("a simulation checks nothing out")

    def is_light(self, url: str, commit: Oid) -> bool:
        """As `checkout`."""
        raise Bug("a simulation checks nothing out")

    def tree(self, url: str, commit: Oid) -> Oid:
        """As `checkout`."""
        raise Bug("a simulation checks nothing out")


class SameConfig:
    """The same two jobs at every commit: `check`, which pushes start, and `after` that comes after it."""

    def read(self, files: Mapping[str, bytes]) -> CitToml:
        """The jobs."""
        return CitToml(job=JOBS)

    def resolve(self, config: CitToml, job: str, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
        """The job as it stands."""
        return [ResolvedJob(name=job, cell={}, parameters={}, job=config.job[job])]

    def selected(self, config: CitToml, branch: str, changed: Sequence[str] | None) -> list[str]:
        """The one that pushes start."""
        return ["check"]
