"""SIGKILL before and after every named step: the next start adopts, nothing is repeated, nothing is lost."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from check import check
from world import SEEDS, World, until

from citgit.model.record import Outcome

STRUCK = Path(__file__).with_name("struck.py")

WORKER_STEPS = (
    "tips.load", "remote.fetch:agents+builds", "remote.fetch:archive+policy", "tips.save",
    "journal.add:advert", "objects.write:commit", "remote.push:advert", "journal.settle:advert",
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
def test_at_each_step(make: Callable[..., World], steps: Sequence[str], seed: int) -> None:
    """Each worker is the restart of the one that was killed before, and is killed at the next step."""
    world = make(slow=0.7)
    for at, (when, step) in enumerate(kills(steps, seed)):
        mark = world.top / f"mark{at}"
        world.ask(1, "slow")
        worker = world.worker(program=struck(when=when, step=step, mark=mark))
        until(f"the kill {when} {step}", lambda: worker.process.poll() is not None)  # noqa: B023
        assert mark.exists(), f"the worker left before it came to {step}: {worker.log.read_text()[-2000:]}"
    finish(world)
    builds = check(world)
    assert {build.outcome for build in builds.values()} == {Outcome.PASSED}
    assert {build.valid_claims for build in builds.values()} == {1}
    assert set(world.executions()) == set(world.accepted)
    assert world.kept("lab1") == []


def test_the_steps_are_those_that_a_worker_makes(make: Callable[..., World]) -> None:
    """The list above is complete: what a worker calls and nobody kills it at is no step yet."""
    world = make(slow=0.7)
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
        "sources.tree",
    }  # fmt: skip
    assert set(made) - set(WORKER_STEPS) <= trivial, f"no kill at: {sorted(set(made) - set(WORKER_STEPS) - trivial)}"
