"""One trace: chaos with faults, crashes and frozen actors, then calm until everything is final and archived."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import greenlet

from citgit.interfaces import Oid
from citgit.model.names import Kind
from citgit.testing.simulation import lives
from citgit.testing.simulation.check import Check
from citgit.testing.simulation.node import COMMITS
from citgit.testing.simulation.profile import PROFILES, Profile
from citgit.testing.simulation.world import ARCHIVERS, STEPPERS, WORKERS, Life, World

CALM = 20_000
"""Steps within which everything has to come to rest once the faults have stopped."""


@dataclass
class Trace:
    """One history from one seed."""

    seed: int
    profile: Profile = PROFILES["mixed"]
    skewed: bool = True
    same_ids: bool = False
    frozen: dict[str, int] = field(default_factory=dict)
    rested: bool = False

    def __post_init__(self) -> None:
        self.world = World(self.seed, self.profile, self.skewed, self.same_ids)
        self.lives = self._lives()
        self.running = {name: greenlet.greenlet(life) for name, life in self.lives.items()}
        self._names = sorted(self.running)
        self.source = self.world.source
        self.plan = self._plan()
        self.steps = 0
        self.backup: dict[str, Oid] = {}

    def _lives(self) -> dict[str, Life]:
        world, profile = self.world, self.profile
        made = {name: lives.worker(world, world.node(name, f"agent:{name}")) for name in WORKERS[: profile.workers]}
        for name in ("left", "right")[: profile.small_programs]:
            made[name] = lives.small_programs(world, world.node(name, f"agent:{STEPPERS}"))
        for name in ARCHIVERS[: profile.archivers]:
            made[name] = lives.archiver(world, world.node(name, f"agent:{name}"))
        for name in ("ben", "anna"):
            made[f"{name}-asks"] = lives.requester(world, world.node(f"{name}-asks", f"person:{name}"))
        for name, actor in (("hook", "hook"), ("door", "lab0"))[: profile.doors]:
            made[name] = lives.door(world, world.node(name, f"agent:{actor}"))
        made["anna"] = lives.admin(world, world.nodes["anna"])
        if profile.interferer:
            made["interferer"] = lives.interferer(world, world.node("interferer", "person:anna"))
        return made

    def _plan(self) -> Mapping[int, str]:
        """What happens once, and when."""
        chaos, source = self.profile.chaos, self.source
        plan = {source.randrange(chaos // 4, chaos): "push"}
        if source.random() < self.profile.host_away:
            start = source.randrange(chaos // 2)
            plan |= {start: "away", start + source.randrange(10, 60): "back"}
        if source.random() < self.profile.restore:
            start = source.randrange(chaos * 2 // 3)
            plan |= {start: "backup", source.randrange(start + 1, chaos): "restore"}
        if source.random() < self.profile.revoke:
            plan[source.randrange(chaos)] = "revoke"
        return plan

    def run(self) -> None:
        """To the end, or until the steps of the calm are spent: `check` tells of it then."""
        world = self.world
        world.host.faults.chances = self.profile.faults
        while self.steps < self.profile.chaos + CALM:
            calm = self.steps >= self.profile.chaos
            if self.steps == self.profile.chaos:
                self._calm()
            self._step(calm)
            self.steps += 1
            if calm and self.steps % 20 == 0 and self._quiet() and not self._land(1):
                self.rested = True
                break
        for each in self.running.values():
            each.throw(greenlet.GreenletExit)

    def check(self) -> Check:
        """Asserts the promises; what it raises names the seed."""
        check = Check(self.world)
        check.all()
        check.promise(self.rested, f"it never came to rest: {CALM} calm steps are spent; {self._unrest()}")
        return check

    def counts(self) -> dict[str, int]:
        """How much happened, for a campaign's summary."""
        world = self.world
        return {"builds": len(world.archived), "attempts": sum(world.executed.values()), "steps": self.steps}

    def _calm(self) -> None:
        self.world.host.faults.chances = {}
        self.world.host.away = False
        self.world.branch.head = COMMITS[-1]
        self.frozen.clear()

    def _step(self, calm: bool) -> None:
        world, source = self.world, self.source
        # in the calm a lease runs out in some two hundred steps, however long it is
        world.clock.advance(source.choice((0, world.ttl / 50) if calm else self.profile.times))
        world.step_clocks(list(world.nodes))
        if not calm:
            self._happens(self.plan.get(self.steps, ""))
        name = source.choice(self._names)
        if self.frozen.get(name, 0) > self.steps or (name in world.idle and source.random() < 0.8):
            return
        if not calm and self._suffers(name):
            return
        if world.host.delayed and source.random() < self.profile.land:
            self._land(1 - self.profile.late)
        self.running[name].switch()
        if name in world.asleep and not calm:
            self._freeze(name)
        world.asleep.clear()
        if self.running[name].dead:
            del self.running[name]
            self._names.remove(name)
        world.note()

    def _happens(self, what: str) -> None:
        host = self.world.host
        if what == "backup":
            self.backup = host.snapshot()
        elif what == "restore":
            self.world.restore(self.backup)
        elif what == "revoke" and not self.world.wanted:
            self.world.wanted = "revoke"
        elif what == "push":
            self.world.branch.head = COMMITS[-1]
        elif what in ("away", "back"):
            host.away = what == "away"

    def _suffers(self, name: str) -> bool:
        """Whether the actor crashes or freezes now."""
        drawn = self.source.random()
        if drawn < self.profile.freeze:
            self._freeze(name)
        elif drawn < self.profile.freeze + self.profile.crash:
            self.running[name].throw(greenlet.GreenletExit)
            node = self.world.nodes[name]
            if node.actor.name.startswith("agent:") and self.source.random() < self.profile.disk:
                self.world.lose_disk(node)
            self.running[name] = greenlet.greenlet(self.lives[name])
        else:
            return False
        return True

    def _freeze(self, name: str) -> None:
        self.frozen[name] = self.steps + self.source.randrange(*self.profile.freeze_for)

    def _land(self, share: float) -> bool:
        """Lets a delayed push arrive, of those that are not the very late ones; whether there was one."""
        delayed = self.world.host.delayed
        due = [at for at, one in enumerate(delayed) if one.lateness < share]
        if due:
            self.world.host.land(self.source.choice(due))
            self.world.note()
        return bool(due)

    def _quiet(self) -> bool:
        return not self._left() and not self.world.wanted and not self._asking()

    def _left(self) -> list[str]:
        """The builds that still have a ref."""
        places = [self.world.refs.parse(ref) for ref in self.world.host.refs]
        return sorted(place.leaf for place in places if place and place.kind is Kind.BUILD)

    def _asking(self) -> list[str]:
        """Those who still have something to ask for."""
        return [
            name
            for name in ("ben-asks", "anna-asks", "hook", "door")
            if name in self.lives and name not in self.world.idle
        ]

    def _unrest(self) -> str:
        """What keeps a trace from its end, in words."""
        left, asking, world = self._left(), self._asking(), self.world
        return f"refs of builds: {left}; who asks: {asking}; wanted: {world.wanted!r}; late: {len(world.host.delayed)}"
