"""SIGKILL before and after every named step: the next start adopts, nothing is repeated, nothing is lost."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from check import check
from world import FULL, SEEDS, Record, World, until

from citgit.model.record import Outcome

STRUCK = Path(__file__).with_name("struck.py")

WORKER_STEPS = (
    "tips.load", "remote.fetch:agents+builds", "remote.fetch:archive+policy", "tips.save",
    "journal.add:advert", "objects.group", "objects.write:commit", "remote.push:advert", "journal.settle:advert",
    "door.fetch", "journal.add:claim", "remote.push:claim", "journal.settle:claim", "remote.fetch:archive",
    "workshop.start", "sources.fetch", "sources.checkout", "executor.start",
    "journal.add:progress", "remote.push:progress", "journal.settle:progress",
    "workshop.poll", "executor.poll", "executor.clean", "journal.add:beat", "remote.push:beat", "journal.settle:beat",
    "journal.add:result", "remote.push:result", "journal.settle:result", "workshop.finish",
    "objects.write_tree", "journal.add:archive", "remote.push:archive", "journal.settle:archive", "remote.push:delete",
)  # fmt: skip
"""What a worker does, in the order in which it comes first: publisher and archiver are the same process."""

SAMPLE = ("remote.push:claim", "executor.start", "remote.push:result")


def struck(**spec: Any) -> Sequence[str]:
    """The program that kills itself as `spec` says."""
    return (sys.executable, "-P", str(STRUCK), json.dumps(spec, default=str))


def kills(steps: Sequence[str], seed: int) -> list[tuple[str, str]]:
    """Every (when, step), in an order of its own for each seed."""
    chosen = [(when, step) for step in steps for when in ("before", "after")]
    random.Random(seed).shuffle(chosen)
    return chosen


def finish(world: World, agent: str = "lab1") -> None:
    """A worker that nobody kills brings everything to its end, and leaves."""
    last = world.worker(agent)
    world.until_archived()
    assert last.leave() == 0


@pytest.mark.parametrize(
    ("steps", "seed"),
    [
        pytest.param(SAMPLE, 1, id="sample"),
        *(pytest.param(WORKER_STEPS, seed, id=f"all-seed{seed}", marks=pytest.mark.heavy) for seed in SEEDS),
    ],
)
def test_at_each_step(make: Callable[..., World], steps: Sequence[str], seed: int, record_property: Record) -> None:
    """Each worker is the restart of the one that was killed before, and is killed at the next step."""
    world = make(slow=1.5, ttl=30, beat=1)
    for at, (when, step) in enumerate(kills(steps, seed)):
        mark = world.top / f"mark{at}"
        world.ask(1, "slow")
        worker = world.worker(program=struck(when=when, step=step, mark=mark))
        until(f"the kill {when} {step}", lambda: worker.process.poll() is not None)  # noqa: B023
        assert mark.exists(), f"the worker left before it came to {step}: {worker.log.read_text()[-2000:]}"
    finish(world)
    record_property("tried", 2 * len(steps))
    builds = check(world)
    assert {build.outcome for build in builds.values()} == {Outcome.PASSED}
    assert {build.valid_claims for build in builds.values()} == {1}
    assert set(world.executions()) == set(world.accepted)
    assert world.kept("lab1") == []


@pytest.mark.parametrize(
    ("victim", "outcome"),
    [
        ("shim", Outcome.ERRORED),
        pytest.param("log", Outcome.FAILED, marks=pytest.mark.heavy),
        pytest.param("command", Outcome.FAILED, marks=pytest.mark.heavy),
    ],
)
def test_builder(make: Callable[..., World], victim: str, outcome: Outcome) -> None:
    """Whatever dies of the processes around a command, the build has one end that says so, and nothing is left."""
    talk = '[job.talk]\nplace.executor = "process"\ncommand = ["sh", "-c", "while echo up; do sleep 0.2; done"]'
    world = make(extra=talk)
    world.ask(1, "talk")
    world.worker(program=struck(when="before", step="executor.poll", nth=20, victim=victim, mark=world.top / "mark"))
    world.until_archived()
    build = next(iter(check(world).values()))
    assert build.outcome is outcome
    assert build.result is not None
    assert build.result.reason
    assert build.valid_claims == 1
    assert not world.survivors()


def test_worker_while_its_build_runs(make: Callable[..., World]) -> None:
    """The next start adopts the build, which never noticed; its end is published at once."""
    world = make()
    asked = world.ask(2, "held")
    first = world.worker(slots=2)
    for build in asked:
        world.until_running(build)
    first.kill()
    second = world.worker(slots=2)
    until("the adoption", lambda: second.told("adopted"))
    world.go.touch()
    world.until_archived()
    builds = check(world)
    assert {build.valid_claims for build in builds.values()} == {1}
    assert {build.outcome for build in builds.values()} == {Outcome.PASSED}
    assert not second.told("claimed")


RANDOM = 1000 if FULL else 20
EACH = 50


@pytest.mark.heavy
@pytest.mark.parametrize("first", range(0, RANDOM, EACH))
def test_at_random_times(make: Callable[..., World], first: int, record_property: Record) -> None:
    """Two agents, killed at any time, on two machines' worth of files; also the one that holds a build."""
    # a slow machine may let a lease run out although nobody is dead: attempts are no limit here
    world, chance = make(agents=("lab1", "lab2"), ttl=5, beat=1, slow=0.3, tries=50), random.Random(first)
    running = {agent: world.worker(agent, slots=2) for agent in world.agents}
    kills = range(first, min(first + EACH, RANDOM))
    record_property("tried", len(kills))
    for _ in kills:
        world.ask(chance.choice([0, 1, 2]), chance.choice(["quick", "slow"]))
        time.sleep(chance.uniform(0.1, 2))
        agent = chance.choice(world.agents)
        running[agent].kill()
        running[agent] = world.worker(agent, slots=2)
    world.until_archived()
    builds = check(world, once=False)
    assert {build.outcome for build in builds.values()} == {Outcome.PASSED}


@pytest.mark.parametrize("step", ["journal.add:request", "remote.push:request", "journal.settle:request"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.heavy
def test_requester(make: Callable[..., World], when: str, step: str) -> None:
    """A request that was journalled is pushed by the next command; whoever was told "queued" is never disappointed."""
    world = make()
    said = world.run(*struck(when=when, step=step, mark=world.top / "mark"), "run", "quick", ok=(-9,))
    assert "queued" not in said
    kept = len(world.active())
    world.cit("run", "quick", "--pool", "default")
    journalled = (when, step) != ("before", "journal.add:request")
    world.accepted = world.active()
    assert len(world.accepted) == 1 + max(kept, journalled)
    finish(world)
    assert len(check(world)) == 1 + journalled


def test_the_steps_are_those_that_a_worker_makes(make: Callable[..., World]) -> None:
    """The list above is complete: what a worker calls and nobody kills it at is no step yet."""
    world = make(slow=1.5, ttl=30, beat=1)
    world.ask(1, "slow")
    worker = world.worker(program=struck(when="list", step="", mark=world.top / "steps"))
    world.until_archived()
    until("the ref to be deleted", lambda: "after remote.push:delete" in (world.top / "steps").read_text())
    assert worker.leave() == 0
    made = list(dict.fromkeys(line.split()[1] for line in (world.top / "steps").read_text().splitlines()))
    assert set(WORKER_STEPS) <= set(made), f"not made any more: {sorted(set(WORKER_STEPS) - set(made))}"
    trivial = {
        "workshop.running", "workshop.advert", "workshop.home", "journal.claims", "journal.entries", "objects.read",
        "objects.tree", "objects.has", "objects.write:blob", "objects.write:tree", "executor.probe", "door.files",
        "sources.tree", "sources.is_light", "workshop.has", "workshop.short", "workshop.descriptors",
        "executor.descriptors", "workshop.can_build",
    }  # fmt: skip
    assert set(made) - set(WORKER_STEPS) <= trivial, f"no kill at: {sorted(set(made) - set(WORKER_STEPS) - trivial)}"
