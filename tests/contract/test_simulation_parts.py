"""The fakes that a simulation stands on: every fault does what it says, and one seed gives one history."""

from __future__ import annotations

import random
import time

import pytest

from citgit.errors import Bug, NotFound, Refused, RemoteAway
from citgit.interfaces import EMPTY_TREE, Answer, Update
from citgit.machine import SystemClock, SystemEntropy, boot_id, cpus, memory, process_start
from citgit.model.names import is_build_id
from citgit.testing.clock import FakeClock, SeededEntropy
from citgit.testing.memory import Fault, Faults, MemoryHost, MemoryObjects, MemoryRemote
from citgit.testing.remotes import ONE, POOL, THREE, TWO, Client, by_answer


class World:
    """A host with faults to come and one client."""

    def __init__(self, *faults: Fault | None) -> None:
        self.host = MemoryHost(Faults(queued=list(faults)))
        objects = MemoryObjects()
        self.anna = Client(MemoryRemote(self.host, objects), objects)


def test_lost_answer() -> None:
    """It happened, and nobody said so; pushing again finds it done."""
    world = World(Fault.LOST_ANSWER)
    root = world.anna.commit("root")
    assert world.anna.push(ONE, None, root) is Answer.UNKNOWN
    assert world.host.refs == {ONE: root}
    assert world.anna.push(ONE, None, root) is Answer.DONE


def test_not_applied() -> None:
    """It did not happen, and nobody said so."""
    world = World(Fault.NOT_APPLIED)
    assert world.anna.push(ONE, None, world.anna.commit("root")) is Answer.UNKNOWN
    assert (world.host.refs, world.host.delayed) == ({}, [])


def test_delayed_push_lands_under_its_old_lease() -> None:
    """A late push is compared when it lands: it brings a deleted ref back if it wanted to create it, and only then."""
    world = World(Fault.DELAYED, Fault.DELAYED, None, None)
    root, other = world.anna.commit("root"), world.anna.commit("other")
    child = world.anna.commit("child", root)
    assert world.anna.push(ONE, None, root) is Answer.UNKNOWN
    assert world.anna.push(ONE, root, child) is Answer.UNKNOWN
    assert world.anna.push(ONE, None, other) is Answer.DONE
    assert world.anna.push(ONE, other, None) is Answer.DONE
    assert world.host.land(1).answer is Answer.STALE
    assert world.host.land(0).answer is Answer.DONE
    assert world.anna.at(ONE) == root


def test_cut_batch() -> None:
    """The first updates arrive, the rest never; the client knows of none."""
    world = World(Fault.CUT)
    root = world.anna.commit("root")
    pushed = world.anna.remote.push([Update(ref, None, root) for ref in (ONE, TWO, THREE)])
    assert by_answer(pushed) == [Answer.UNKNOWN] * 3
    assert sorted(world.host.refs) == [ONE, TWO]


def test_away_and_refused() -> None:
    """Both are told apart, for fetches and for pushes, and pass."""
    world = World(Fault.AWAY, Fault.DENY, Fault.AWAY, Fault.DENY)
    root = world.anna.commit("root")
    with pytest.raises(RemoteAway):
        world.anna.remote.fetch([POOL])
    with pytest.raises(Refused):
        world.anna.remote.fetch([POOL])
    assert world.anna.push(ONE, None, root) is Answer.UNKNOWN
    assert world.anna.push(ONE, None, root) is Answer.DENIED
    assert world.anna.push(ONE, None, root) is Answer.DONE


def test_restored_and_emptied_host() -> None:
    """An old state comes back with its old leases; an emptied host has neither refs nor objects."""
    world = World()
    root = world.anna.commit("root")
    child = world.anna.commit("child", root)
    world.anna.push(ONE, None, root)
    backup = world.host.snapshot()
    world.anna.push(ONE, root, child)
    world.host.restore(backup)
    assert world.anna.remote.fetch([POOL]) == {ONE: root}
    assert world.anna.push(ONE, child, world.anna.commit("grown", child)) is Answer.STALE
    assert world.anna.push(ONE, root, child) is Answer.DONE
    world.host.empty()
    assert world.anna.remote.fetch([POOL]) == {}
    assert not world.host.objects.has(child)
    assert world.anna.push(ONE, None, child) is Answer.DONE
    assert world.host.objects.has(root)


def test_a_push_of_what_is_not_here() -> None:
    """As with git, nothing is sent when the history is not whole."""
    world = World()
    with pytest.raises(NotFound):
        world.anna.push(ONE, None, world.anna.commit("orphan", "1" * 40))
    assert world.host.refs == {}


def test_faults_that_cannot_be() -> None:
    """A fault planned for an operation that cannot suffer it is a mistake of the test."""
    with pytest.raises(Bug, match="LOST_ANSWER"):
        World(Fault.LOST_ANSWER).anna.remote.fetch([POOL])


def history(seed: int) -> list[str]:
    """What one client is told by a host that fails at random."""
    chances = {Fault.LOST_ANSWER: 0.2, Fault.DELAYED: 0.2, Fault.CUT: 0.1, Fault.AWAY: 0.1}
    host = MemoryHost(Faults(random.Random(seed), chances))
    objects = MemoryObjects()
    anna = Client(MemoryRemote(host, objects), objects)
    told: list[str] = []
    for number in range(60):
        ref = (ONE, TWO)[number % 2]
        told.append(anna.push(ref, host.refs.get(ref), anna.commit(f"record {number}")).value)
        if host.delayed and number % 5 == 0:
            told.append(host.land().answer.value)
    return told


def test_one_seed_one_history() -> None:
    """A simulation repeats from its seed, and other seeds bring other faults."""
    assert history(1) == history(1)
    assert history(1) != history(2)
    assert {"done", "unknown"} <= set(history(1))


def test_clock_stands_still() -> None:
    """Time passes by order only; asleep, a machine's monotonic clock stands and its boot time goes on."""
    clock = FakeClock(1000)
    clock.sleep(2.5)
    clock.suspend(10)
    assert (clock.now(), clock.monotonic(), clock.boottime()) == (1012, 2.5, 12.5)
    clock.step(-500)
    assert (clock.now(), clock.monotonic()) == (512, 2.5)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
    wishes: list[float] = []
    FakeClock(on_sleep=wishes.append).sleep(3)
    assert wishes == [3]


def test_seeded_entropy() -> None:
    """Nonces, ids and jitter repeat from the seed; ids are UUIDv7 of the fake time, in order."""
    clock = FakeClock()
    one, two = (SeededEntropy(random.Random(7), clock) for _ in range(2))
    first = [one.nonce(), one.build_id(), str(one.uniform(1, 2))]
    assert first == [two.nonce(), two.build_id(), str(two.uniform(1, 2))]
    clock.advance(1)
    later = one.build_id()
    assert is_build_id(first[1])
    assert is_build_id(later)
    assert later > first[1]
    assert int(first[1].replace("-", "")[:12], 16) == 1_700_000_000_000
    assert len(first[0]) == 32


def test_machine() -> None:
    """The real clocks go forward, real ids are ids, and this process can be told from a later one."""
    clock, entropy = SystemClock(), SystemEntropy()
    before = (clock.monotonic(), clock.boottime())
    clock.sleep(0.01)
    assert clock.monotonic() >= before[0] + 0.01
    assert clock.boottime() >= before[1] + 0.01
    assert abs(clock.now() - time.time()) < 5
    assert is_build_id(entropy.build_id())
    assert len({entropy.nonce() for _ in range(100)}) == 100
    assert all(1 <= entropy.uniform(1, 2) <= 2 for _ in range(100))
    assert boot_id() == boot_id() != ""
    assert process_start(2**22 + 1) is None
    assert cpus() >= 1
    assert memory() > 1 << 20


def test_memory_objects_know_the_empty_tree() -> None:
    """Records point at it, so it is always there."""
    assert MemoryObjects().has(EMPTY_TREE)
