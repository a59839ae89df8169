"""A team at work, compressed: pushes, requests, cancellations, restarts, config changes; what it costs stays flat."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import psutil
import pytest
from check import check
from world import World, until

from citgit.model.record import Outcome

SECONDS = float(os.environ.get("CIT_WEEK", "120"))
"""How long it takes; an hour stands for a week of twenty people."""


def push(world: World, at: int, chance: random.Random) -> None:
    """Somebody pushes a branch; now and then the jobs change with it."""
    world.git("checkout", "--quiet", "-B", f"topic-{chance.randrange(20)}", "main")
    if chance.random() < 0.2:
        with open(world.clone_dir / "cit.toml", "a") as jobs:
            jobs.write(f'\n[job.extra{at}]\ncommand = ["true"]\n')
    world.git("commit", "--quiet", "--allow-empty", "--all", "--message", f"change {at}")
    world.git("push", "--quiet", "--force", "origin", "HEAD")
    world.git("checkout", "--quiet", "main")


@pytest.mark.soak
def test_week(make: Callable[..., World]) -> None:
    """Memory, descriptors and the time of a turn of the worker that lives longest do not grow with what was built."""
    watched = '[job.watched]\nplace.executor = "process"\ntrigger.push = ["topic-*"]\ncommand = ["true"]'
    world, chance = make(agents=("lab1", "lab2"), slow=0.3, extra=watched), random.Random(1)
    steady, other = world.worker("lab1", "--doors", slots=2), world.worker("lab2", slots=2)
    until("the workers to serve", lambda: steady.told("serving") and other.told("serving"))
    process, began = psutil.Process(steady.process.pid), time.monotonic()
    memory, files, cpu, at = [], [], [], 0
    while time.monotonic() - began < SECONDS:
        at += 1
        build = world.ask(1, chance.choice(["quick", "quick", "slow"]))[0]
        if at % 4 == 0:
            push(world, at, chance)
        if at % 7 == 0:
            world.cit("cancel", build, ok=(0, 1, 3, 75))
        if at % 15 == 0:
            other.kill()
            other = world.worker("lab2", slots=2)
        until("the queue to be short", lambda: len(world.active()) < 20)
        memory.append(process.memory_info().rss)
        files.append(process.num_fds())
        cpu.append(sum(process.cpu_times()[:4]))
    world.until_archived()
    builds = check(world, once=False)
    assert {one.outcome for one in builds.values()} <= {Outcome.PASSED, Outcome.CANCELLED, Outcome.SUPERSEDED}
    quarter = len(memory) // 4
    early, late = slice(quarter, 2 * quarter), slice(3 * quarter, None)
    spent = [after - before for before, after in pairwise(cpu)]
    for name, values in (("memory", memory), ("descriptors", files), ("cpu s a round", spent)):
        print(f"{name}: {statistics.median(values[early]):.3f} -> {statistics.median(values[late]):.3f}")
    print(f"{len(builds)} builds")
    assert statistics.median(memory[late]) < 1.3 * statistics.median(memory[early])
    assert statistics.median(files[late]) <= statistics.median(files[early]) + 4
    assert statistics.median(spent[late]) < 1.5 * statistics.median(spent[early]) + 0.02
