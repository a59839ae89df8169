"""What the judgement of a push costs per ref: git's update hook, whose first judge stays for the next ones."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.stage import Stage, median, percentile, stage
from citgit.flows.poll import poll
from citgit.model.names import Kind

TIMES = 30
IDLE_S = 20


def measure(times: int = TIMES) -> dict[str, float]:
    """Milliseconds of whole hooks, interpreter and all: the first after a pause, and the following ones."""
    with stage() as place:
        requester = place.requester()
        requester.ask("noop")
        state = requester.clone.state
        ((ref, tip),) = poll(state).of(state.refs, Kind.BUILD).items()
        place.run("git", "config", "citgit.hookIdle", str(IDLE_S), cwd=place.state)
        first = _judged(place, ref, tip)
        values = [_judged(place, ref, tip) for _ in range(times)]
        return {"first ms": first, "p50 ms": median(values), "p95 ms": percentile(values, 0.95)}


def _judged(place: Stage, ref: str, tip: str) -> float:
    program = str(Path(sys.executable).parent / "cit-verify-push")
    began = time.perf_counter()
    subprocess.run([program, "update", ref, "0" * 40, tip], cwd=place.state, env=place.env, check=True)
    return (time.perf_counter() - began) * 1000
