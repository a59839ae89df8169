"""No-op builds per second: a queue of them, two slots, signed, durable, executor `process`."""

from __future__ import annotations

import time

from bench.stage import stage

COUNT = 500


def measure(count: int = COUNT) -> dict[str, float]:
    """From a full queue until every result is recorded, and until everything is archived."""
    with stage() as place, place.worker("--slots", "2", "--no-doors") as worker:
        requester = place.requester()
        # a worker that has built before: the first build of a node looks at its tools and fetches the code
        requester.ask("noop", 2)
        worker.await_events("result", 2)
        worker.pause()
        requester.ask("noop", count)
        began = time.monotonic()
        worker.go()
        worker.await_events("result", count)
        took = time.monotonic() - began
        return {"builds/s": count / took}
