"""The power goes: what was not synced is lost on the host's disk and on the node's; what was acknowledged is not."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from check import check
from power import Power
from world import CIT, FULL, Record, Started, World, until

CUTS = 200 if FULL else 4
EACH = 20


def results(worker: Started) -> set[str]:
    """The builds whose results the worker told as published."""
    return {event["build"] for event in worker.events() if event["event"] == "result"}


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(0, CUTS, EACH))
def test_cut(make: Callable[..., World], tmp_path: Path, seed: int, record_property: Record) -> None:
    """Builds that were queued, and results that were told, before the cut are there afterwards, whenever it comes."""
    world = make()
    # the host's disk syncs on its own; everything else is the node's and the person's
    power = Power(world.top, tmp_path / "power", ("project.git", ""))
    acknowledged: dict[str, int] = {}
    ended: dict[str, int] = {}
    worker = world.worker(env=power.env)
    until("the worker to serve", lambda: worker.told("serving"))
    for _ in range(3):
        before = set(world.active()) | world.archived()
        world.run("env", *(f"{key}={value}" for key, value in power.env.items()), *CIT, "run", "quick", "--no-follow",
                  "--pool", "default")  # fmt: skip
        for build in (set(world.active()) | world.archived()) - before:
            acknowledged[build] = power.count()
        until("the results", lambda: set(acknowledged) <= results(worker))
        ended |= {build: power.count() for build in acknowledged if build not in ended}
    until("the archive", lambda: set(acknowledged) <= world.archived())
    time.sleep(0.5)
    world.close()
    finals = {build: world.build(build).final for build in acknowledged}
    whole, total = world.top.with_name("whole"), power.count()
    world.top.rename(whole)
    cuts = range(seed, min(seed + EACH, CUTS))
    record_property("tried", len(cuts))
    for at in cuts:
        cut = random.Random(at).randrange(total)
        power.image(cut, world.top)
        for build, said in acknowledged.items():
            there = build in world.active() or build in world.archived()
            assert there or said > cut, f"acknowledged at {said}, lost by a cut at {cut} (seed {at})"
        world.accepted = [build for build, said in acknowledged.items() if said <= cut]
        for lock in (world.bare / "refs").rglob("*.lock"):
            os.utime(lock, (0, 0))  # a machine takes longer to start again than the doctor takes for stale
        world.cit("doctor", "--mend", ok=(0, 1))
        world.workers.clear()
        worker = world.worker()
        world.until_archived()
        found = check(world, once=False, signatures=20)
        for build, said in ended.items():
            if said <= cut:
                assert found[build].final == finals[build], f"result told at {said}, lost by a cut at {cut} (seed {at})"
        world.close()
        shutil.rmtree(world.top)
    whole.rename(world.top)
