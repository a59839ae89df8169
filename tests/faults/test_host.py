"""The state host is away, cut off, late, mute, read-only, full, emptied or restored: builds end, once."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from check import check
from services import need
from world import FULL, ROUNDS, Record, World, until

from citgit.model.record import Outcome


def passed(world: World) -> None:
    """Calm has come: everything accepted passed, once."""
    world.fault()
    world.until_archived()
    builds = check(world)
    assert {build.outcome for build in builds.values()} == {Outcome.PASSED}
    assert {build.valid_claims for build in builds.values()} == {1}
    assert set(world.executions()) == set(world.accepted)
    assert until("the journals to be empty", lambda: not any(world.kept(agent) for agent in world.agents))


# to a host without `cit-serve`, and with it: then pushes go through a channel that stays open
WAYS = pytest.mark.parametrize("channel", [pytest.param(False, id="git"), pytest.param(True, id="channel")])


def pushing(channel: bool) -> list[str]:
    """The services that pushes may go through; a channel that broke is made up for by git."""
    return ["git-receive-pack", *(["cit-serve"] if channel else [])]


@WAYS
@pytest.mark.parametrize("seconds", [3, pytest.param(600, marks=pytest.mark.soak)])
def test_away(make: Callable[..., World], seconds: float, channel: bool, record_property: Record) -> None:
    """Builds end while the host is away, also for a worker that was killed meanwhile; results are pushed afterwards."""
    world = make(network=True, channel=channel, slow=1)
    asked = world.ask(2, "slow")
    worker = world.worker(slots=2)
    attempts = [world.until_running(build) for build in asked]
    record_property("tried", 1)
    world.fault(mode="away")
    until("the builds to end", lambda: all((attempt / "ended").exists() for attempt in attempts))
    until("the worker to say so", lambda: worker.told("away"))
    worker.kill()
    worker = world.worker(slots=2)
    time.sleep(seconds)
    assert worker.process.poll() is None, worker.log.read_text()[-2000:]
    back = time.monotonic()
    passed(world)
    assert time.monotonic() - back < 60


@pytest.mark.heavy
@WAYS
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, ROUNDS + 1))])
def test_flapping(make: Callable[..., World], seed: int, channel: bool) -> None:
    """The host comes and goes every few tenths of a second."""
    world, chance = make(network=True, channel=channel, slow=0.5), random.Random(seed)
    world.worker(slots=2)
    for _ in range(5):
        world.ask(1, "slow")
        for _ in range(4):
            world.fault(mode="away", **({"services": pushing(channel)} if chance.random() < 0.5 else {}))
            time.sleep(chance.uniform(0.1, 0.5))
            world.fault()
            time.sleep(chance.uniform(0.1, 0.5))
    passed(world)


CUTS = 200 if FULL else 3
EACH = 20


@WAYS
@pytest.mark.parametrize("first", range(0, CUTS, EACH))
def test_cut(make: Callable[..., World], first: int, channel: bool, record_property: Record) -> None:
    """The connection is cut after k bytes, with and without the client's git being killed: nothing is half done."""
    world = make(network=True, channel=channel)
    worker = world.worker()
    # a worker that never reached its host leaves; what starts it again is not here
    until("the worker to serve", lambda: worker.told("serving"))
    cuts = range(first, min(first + EACH, CUTS))
    record_property("tried", len(cuts))
    for at in cuts:
        chance = random.Random(at)
        services = chance.choice([pushing(channel), pushing(channel), ["git-upload-pack"]])
        fault = {
            "mode": chance.choice(["cut", "kill"]), "services": services, "way": chance.choice(["up", "down"]),
            "bytes": chance.choice([0, 3, 500, 2500]) + chance.randrange(400), "times": chance.randrange(1, 4),
        }  # fmt: skip
        world.ask()
        world.fault(**fault)
        until(f"cut {at}: {fault}", lambda: not world.active())
    assert any(one.startswith(pushing(channel)[-1]) for one in world.struck())
    passed(world)


@WAYS
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"mode": "mute"}, id="applied-then-failed"),
        pytest.param({"mode": "late", "seconds": 1.5}, id="late", marks=pytest.mark.heavy),
    ],
)
def test_answers(make: Callable[..., World], fault: dict[str, object], channel: bool) -> None:
    """The host does what it is told, but its answers are lost or late: nothing is done twice."""
    world = make(network=True, channel=channel)
    world.ask(3)
    world.fault(**fault, services=pushing(channel), times=12)
    world.worker(slots=2)
    spent = world.top / "faults.json"
    until("the faults to be used up, or all to end", lambda: '"times": 0' in spent.read_text() or not world.active())
    assert world.struck()[f"{pushing(channel)[-1]} {fault['mode']}"]
    passed(world)


@pytest.mark.heavy
def test_read_only(make: Callable[..., World]) -> None:
    """A host that lets us read only: the worker says what it says and goes on; results are pushed once they may be."""
    if os.geteuid() != 0:
        need("root (a host with another user)")
    world = make(network=True, slow=1, env={"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
                                            "GIT_CONFIG_VALUE_0": "*"})  # fmt: skip
    for path in [*world.top.parents][: len(world.top.parents) - 2]:
        path.chmod(path.stat().st_mode | 0o055)
    asked = world.ask(1, "slow")
    worker = world.worker()
    attempt = world.until_running(asked[0])
    world.fault(mode="reader")
    until("the build to end", lambda: (attempt / "ended").exists())
    time.sleep(2)
    assert worker.process.poll() is None, worker.log.read_text()[-2000:]
    passed(world)


@pytest.mark.heavy
@WAYS
def test_no_access(make: Callable[..., World], channel: bool) -> None:
    """A host whose repository is gone for a while, or closed to us, ends no worker."""
    world = make(network=True, channel=channel)
    worker = world.worker()
    until("the worker to serve", lambda: worker.told("serving"))
    world.bare.rename(world.top / "elsewhere.git")
    until("it to be told", lambda: worker.told("away") or worker.told("error"))
    time.sleep(1)
    assert worker.process.poll() is None, worker.log.read_text()[-2000:]
    (world.top / "elsewhere.git").rename(world.bare)
    world.ask()
    passed(world)


def fill(path: Path) -> None:
    """Makes the file as large as its disk lets it be."""
    with open(path, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    """A file system of that size at `place`."""
    if os.geteuid() != 0:
        need("root (to mount a small disk)")
    place.mkdir(parents=True)
    # a worker's home must be nobody else's
    options = f"size={size},mode=0700"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "citgit-faults", str(place)], check=False)
    if done.returncode:
        need("the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.heavy
@WAYS
def test_full(make: Callable[..., World], tmp_path: Path, channel: bool) -> None:
    """A host without a free block takes nothing and loses nothing; once there is room, all goes on."""
    with small_disk(tmp_path / "disk", "4m"):
        world = make(network=True, channel=channel, slow=1)
        shutil.move(world.bare, tmp_path / "disk" / "project.git")
        world.bare.symlink_to(tmp_path / "disk" / "project.git")
        asked = world.ask(2, "slow")
        worker = world.worker(slots=2)
        attempts = [world.until_running(build) for build in asked]
        filler = tmp_path / "disk" / "filler"
        fill(filler)
        until("the builds to end", lambda: all((attempt / "ended").exists() for attempt in attempts))
        time.sleep(2)
        assert worker.process.poll() is None, worker.log.read_text()[-2000:]
        filler.unlink()
        passed(world)


@pytest.mark.heavy
@WAYS
def test_emptied_and_restored(make: Callable[..., World], channel: bool) -> None:
    """An emptied host, then an older backup: alarms, nothing runs twice; the true state put back, all goes on."""
    world = make(network=True, channel=channel, slow=1)
    world.ask(1)
    worker = world.worker()
    world.until_archived()
    older = world.top / "older.git"
    shutil.copytree(world.bare, older)
    world.ask(1, "slow")
    world.until_running(world.accepted[-1])
    world.fault(mode="away")
    time.sleep(0.5)
    whole = world.top / "whole.git"
    world.bare.rename(whole)
    subprocess.run(["git", "init", "-q", "--bare", str(world.bare)], check=True)
    world.fault()
    until("the alarm", lambda: worker.told("alarm", "vanished"))
    # moved, not deleted in place: a host that is still served may write there at that moment
    world.bare.rename(world.top / "emptied.git")
    older.rename(world.bare)
    time.sleep(2)
    assert worker.process.poll() is None, worker.log.read_text()[-2000:]
    world.bare.rename(older)
    whole.rename(world.bare)
    passed(world)
    assert all(times == 1 for times in world.executions().values())
