"""Output capture: at full speed, and what it costs at 10 MB/s."""

from __future__ import annotations

import json
import time
from pathlib import Path

from bench.stage import Stage, Worker, cpu_seconds, stage

SIZE_MB = 1024 * 1.048576


def measure() -> dict[str, float]:
    """MB/s of a command that writes as fast as it can; % of a core of the worker and the copying programs."""
    with stage() as place, place.worker("--slots", "2", "--no-doors") as worker:
        requester = place.requester()
        requester.ask("flood")
        worker.await_events("result", 1)
        requester.ask("drip")
        directory = Path(worker.await_events("started", 1).partition(":")[2])
        cost = _cost(worker, directory)
        worker.await_events("result", 1)
        return {"MB/s": SIZE_MB / _seconds(place), "% of a core at 10 MB/s": cost}


def _seconds(place: Stage) -> float:
    """How long the first build's command took."""
    results = (place.top / "home" / "attempts").glob("*/result.json")
    documents = [json.loads(path.read_bytes()) for path in results]
    flood = next(one for one in documents if one["log"]["out_bytes"] > 1 << 29)
    return float(flood["ended"] - flood["started"]) / 1000


def _cost(worker: Worker, directory: Path) -> float:
    time.sleep(1)
    helpers = [int(word) for word in (directory / "alive").read_text().split()]
    pids = [worker.process.pid, *helpers]
    before, began = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(4)
    return 100 * (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - began)
