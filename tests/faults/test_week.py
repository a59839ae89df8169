"""A team at work, compressed: pushes, requests, cancellations, restarts, config changes; what it costs stays flat."""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from check import check
from world import CIT, RECORDS, Record, Started, World, until

from citgit.flows.poll import poll
from citgit.model.record import Outcome
from citgit.wiring.worker import node_state

SECONDS = float(os.environ.get("CIT_WEEK", "120"))
"""How long it takes; an hour stands for a week of twenty people."""

ROUND = 1.8
"""Seconds between two things that somebody does: two thousand of them in an hour."""


class Team:
    """Twenty people at one repository, with two nodes and a laptop that is often offline."""

    def __init__(self, world: World, steady: Started, other: Started) -> None:
        self.world, self.steady, self.other = world, steady, other
        self.chance = random.Random(1)
        self.laptop = world.top / "laptop"
        shutil.copytree(world.clone_dir, self.laptop, symlinks=True)
        self.faults = world.top / "laptop.json"
        self.away = {
            "GIT_SSH_COMMAND": world.link, "GIT_SSH_VARIANT": "ssh", "FAULTS": str(self.faults),
        }  # fmt: skip
        world.git("remote", "set-url", "origin", f"ssh://node{world.bare}", cwd=self.laptop)
        self.asked: list[str] = []

    def turn(self, at: int) -> None:
        """What happens in one round."""
        build = self.world.ask(1, self.chance.choice(["quick", "quick", "slow"]))[0]
        if at % 4 == 0:
            self.push(at)
        if at % 7 == 0:
            self.world.cit("cancel", build, ok=(0, 1, 3, 75))
        if at % 15 == 0:
            self.other.kill()
            self.other = self.world.worker("lab2", slots=2)
        if at % 10 == 0:
            self.ask_laptop(at, home=at % 30 == 0)

    def push(self, at: int) -> None:
        """Somebody pushes a branch; now and then the jobs change with it."""
        world = self.world
        world.git("checkout", "--quiet", "-B", f"topic-{self.chance.randrange(20)}", "main")
        if self.chance.random() < 0.2:
            with open(world.clone_dir / "cit.toml", "a") as jobs:
                jobs.write(f'\n[job.extra{at}]\ncommand = ["true"]\n')
        world.git("commit", "--quiet", "--allow-empty", "--all", "--message", f"change {at}")
        world.git("push", "--quiet", "--force", "origin", "HEAD")
        world.git("checkout", "--quiet", "main")

    def ask_laptop(self, at: int, *, home: bool) -> None:
        """The laptop asks on the road, and again at home, which pushes what it had kept."""
        self.faults.write_text(json.dumps({"number": at, **({} if home else {"mode": "away"})}))
        argv = ["env", *(f"{key}={value}" for key, value in self.away.items()), *CIT, "run", "quick", "--no-follow"]
        self.asked.append(f"laptop {at}")
        argv += ["--pool", "default", "-m", self.asked[-1]]
        self.world.run(*argv, cwd=self.laptop, ok=(0,) if home else (75,))


class Costs:
    """What the worker that lives longest, and its poll, cost: a sample a round, in memory and in a file."""

    def __init__(self, world: World, steady: Started) -> None:
        self._world, self._process = world, psutil.Process(steady.process.pid)
        self._state = node_state(str(world.bare), world.top / "watcher", pinned=world.open().state.pinned)
        self._began = time.monotonic()
        self.samples: list[dict[str, float]] = []

    def sample(self, builds: int) -> None:
        """Measures: MiB, descriptors, processor seconds so far, the shortest of three polls in ms, MiB on disk."""
        polls = []
        for _ in range(3):
            before = time.process_time()
            poll(self._state)
            polls.append(time.process_time() - before)
        self.samples.append({
            "seconds": round(time.monotonic() - self._began, 1), "builds": builds, "poll": round(1000 * min(polls), 2),
            "memory": round(self._process.memory_info().rss / 2**20, 2), "descriptors": self._process.num_fds(),
            "processor": round(sum(self._process.cpu_times()[:4]), 2),
            "state": size(self._world.bare), "node": size(self._world.home("lab1")),
        })  # fmt: skip
        if RECORDS:
            (RECORDS / "week.json").write_text(json.dumps(self.samples) + "\n")

    def quarters(self, what: str, of: str = "") -> tuple[float, float]:
        """The medians of the second and of the last quarter; of differences per `of`, if that is given."""
        values = [one[what] for one in self.samples]
        if of:
            pairs = zip(self.samples, self.samples[10:], strict=False)
            values = [(b[what] - a[what]) / (b[of] - a[of]) for a, b in pairs if b[of] > a[of]]
        quarter = len(values) // 4
        early, late = statistics.median(values[quarter : 2 * quarter]), statistics.median(values[3 * quarter :])
        print(f"{what}{' per ' * bool(of)}{of}: {early:.3f} -> {late:.3f}")
        return early, late


def size(folder: Path) -> float:
    """MiB on disk below it, as far as it stays while it is looked at."""
    total = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(top, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return round(total / 2**20, 3)


@pytest.mark.soak
def test_week(make: Callable[..., World], record_property: Record) -> None:
    """Memory, descriptors, poll, processor and disk per build of the worker that lives longest do not grow."""
    watched = '[job.watched]\nplace.executor = "process"\ntrigger.push = ["topic-*"]\ncommand = ["true"]'
    world = make(agents=("lab1", "lab2"), slow=0.3, extra=watched)
    steady, other = world.worker("lab1", "--doors", slots=2), world.worker("lab2", slots=2)
    until("the workers to serve", lambda: steady.told("serving") and other.told("serving"))
    team, costs, began, at = Team(world, steady, other), Costs(world, steady), time.monotonic(), 0
    while time.monotonic() - began < SECONDS:
        at += 1
        team.turn(at)
        until("the queue to be short", lambda: len(world.active()) < 20)
        costs.sample(len(world.accepted) + len(team.asked))
        time.sleep(max(0.0, began + at * ROUND - time.monotonic()))
        if at % (1 + int(SECONDS / ROUND / 7)) == 0:  # a day is over
            world.cit("tidy")
    team.ask_laptop(0, home=True)
    world.until_archived()
    builds = check(world, once=False)
    record_property("tried", len(builds))
    assert {one.outcome for one in builds.values()} <= {Outcome.PASSED, Outcome.CANCELLED, Outcome.SUPERSEDED}
    reasons = Counter(one.request.cause.message for one in builds.values() if one.request)
    assert all(reasons[one] == 1 for one in team.asked), "what the laptop asked for is lost or doubled"
    for what, of, factor, more in (
        ("memory", "", 1.3, 0), ("descriptors", "", 1, 4), ("poll", "", 1.5, 1), ("processor", "builds", 1.5, 0.02),
        ("state", "builds", 1.5, 0.01), ("node", "builds", 1.5, 0.01),
    ):  # fmt: skip
        early, late = costs.quarters(what, of)
        assert late <= factor * early + more, f"{what} grew from {early} to {late}"
