"""From a request to the start of its command: asked for by a running process, and by a cold `cit run`."""

from __future__ import annotations

import os
import subprocess
import time

from bench.stage import Stage, median, percentile, stage

WARM = 60
COLD = 15


def measure(warm: int = WARM, cold: int = COLD) -> dict[str, float]:
    """Milliseconds, median and 95th percentile."""
    with stage() as place, place.worker("--slots", "2", "--no-doors") as worker:
        requester = place.requester()
        pipe = os.open(place.top / "told", os.O_RDWR)
        found = {"warm": [], "cold": []}
        for turn in range(warm + cold):
            kind = "warm" if turn < warm else "cold"
            began = time.monotonic()
            if kind == "warm":
                requester.ask("tell")
            else:
                asked(place)
            os.read(pipe, 1)
            found[kind].append((time.monotonic() - began) * 1000)
            worker.await_events("result", 1)
            time.sleep(0.03)
        os.close(pipe)
    result = {}
    for kind, values in found.items():
        values = values[2:]  # the first ones fill caches, as the first build of a day does
        if values:
            result |= {f"{kind} p50 ms": median(values), f"{kind} p95 ms": percentile(values, 0.95)}
    return result


def asked(place: Stage) -> None:
    """`cit run` in a process of its own, not waited for longer than it takes."""
    subprocess.Popen(
        place.cit("run", "tell"), cwd=place.checkout, env=place.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
