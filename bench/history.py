"""Long histories: what a poll reads, how long verbs take, what a fold costs, how fast everything is verified."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.past import fill
from bench.stage import AGENT, Stage, median, stage
from citgit.flows.archive import archive
from citgit.flows.builds import Repository
from citgit.flows.control import control
from citgit.flows.poll import poll
from citgit.flows.state import Actor, State
from citgit.git.journal import FileJournal
from citgit.interfaces import Oid, Pushed, Remote, Update
from citgit.model.record import Cancel
from citgit.testing.counting import CountingObjects
from citgit.wiring.clone import open_clone
from citgit.wiring.keys import signer_for
from citgit.wiring.worker import node_state

SIZES = tuple(int(size) for size in os.environ.get("CIT_BENCH_SIZES", "0,10000,100000,1000000").split(","))
LARGE = 1_000_000
_MADE: set[int] = set()
WHOLE = 2_000
POLLS = 40
CALLS = 7


class CountingRemote:
    """A remote that counts the refs that it hands out."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self.refs = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return self._remote.url

    def fetch(self, prefixes: Sequence[str]) -> dict[str, Oid]:
        """As the remote, counted."""
        found = self._remote.fetch(prefixes)
        self.refs += len(found)
        return found

    def push(self, updates: Sequence[Update]) -> list[Pushed]:
        """As the remote."""
        return self._remote.push(updates)


def measure() -> dict[str, float]:
    """Each size in a stage of its own; milliseconds are medians. What takes minutes to make is measured once."""
    found: dict[str, float] = {}
    sizes = [size for size in SIZES if size < LARGE or size not in _MADE]
    for size in sizes:
        _MADE.add(size)
        with stage() as place:
            fill(place, size)
            requester = place.requester()
            requester.ask("noop", 10)
            found |= {f"{size} builds: {what}": value for what, value in _one(place, size).items()}
    with stage() as place:
        fill(place, WHOLE, whole=True)
        found |= _verified(place)
    if len(sizes) > 1:
        base, most = f"{sizes[0]} builds: poll ms", f"{sizes[-1]} builds: poll ms"
        found[f"poll, {sizes[-1]} to {sizes[0]} builds"] = found[most] / found[base]
    return found


def _one(place: Stage, size: int) -> dict[str, float]:
    clone = open_clone(place.checkout)
    found = _polls(node_state(str(place.state), place.top / "node", pinned=clone.state.pinned))
    verbs = {"status": ["status"], "status --all": ["status", "--all"], "--help": ["--help"]}
    if size:
        verbs |= {"show JOB": ["show", "rare"], "why JOB@BRANCH": ["why", "noop@main"]}
        found |= _fold(place)
    for name, argv in verbs.items():
        found[f"cit {name} ms"] = median([_run(place, argv) for _ in range(CALLS)])
    return found


def _polls(state: State) -> dict[str, float]:
    """A worker's poll with ten waiting builds, when nothing has changed since the last one."""
    objects, remote = CountingObjects(state.objects), CountingRemote(state.remote)
    state.objects, state.remote = objects, remote  # type: ignore[assignment]
    _poll(state)
    _poll(state)
    objects.clear()
    remote.refs, times = 0, []
    for _ in range(POLLS):
        began = time.perf_counter()
        _poll(state)
        times.append((time.perf_counter() - began) * 1000)
    return {
        "poll ms": median(times), "poll refs": remote.refs / POLLS, "poll objects": objects.reads / POLLS,
        "poll bytes": objects.bytes / POLLS,
    }  # fmt: skip


def _poll(state: State) -> None:
    repository = Repository(state, poll(state))
    for build in repository.active("default"):
        repository.is_archived("default", build.id)


def _fold(place: Stage) -> dict[str, float]:
    """One more build into the newest day, forced to happen at once."""
    clone = open_clone(place.checkout)
    repository = Repository(clone.state, poll(clone.state))
    build = next(iter(repository.active("default")))
    control(clone.state, clone.actor(), repository, build, Cancel())
    signer = signer_for(Path(place.env["CITGIT_HOME"]) / "keys" / AGENT)
    actor = Actor(name=f"agent:{AGENT}", signer=signer, journal=FileJournal(place.top / "fold-journal"))
    state = node_state(str(place.state), place.top / "folder", pinned=clone.state.pinned)
    clock = state.clock
    state.clock = _Later(clock.now() + 86_400)  # type: ignore[assignment]
    repository = Repository(state, poll(state))
    began = time.perf_counter()
    done = archive(state, actor, repository, "default")
    taken = (time.perf_counter() - began) * 1000
    assert done == [build.id]
    return {"fold of one build ms": taken}


class _Later:
    """A clock by which a fold is due."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        """Unix seconds."""
        return self._now


def _verified(place: Stage) -> dict[str, float]:
    began = time.perf_counter()
    _run(place, ["verify", "--all"])
    return {"verify --all, records/s": 3 * WHOLE / (time.perf_counter() - began)}


def _run(place: Stage, argv: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        place.cit(*argv), cwd=place.checkout, env=place.env, capture_output=True, text=True, check=False
    )
    taken = (time.perf_counter() - began) * 1000
    assert done.returncode in (0, 5, 75), done.stderr
    return taken
