"""What a worker costs while there is nothing to do: memory that is its own share, and processor time."""

from __future__ import annotations

import re
import time
from pathlib import Path

from bench.stage import cpu_seconds, stage

SECONDS = 20.0


def measure(seconds: float = SECONDS) -> dict[str, float]:
    """After one build, so that everything a build needs has been loaded."""
    with stage() as place, place.worker("--slots", "2") as worker:
        place.requester().ask("noop")
        worker.await_events("result", 1)
        time.sleep(5)
        pid = worker.process.pid
        before = cpu_seconds(pid)
        time.sleep(seconds)
        share = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return {
            "PSS MiB": int(share[1]) / 1024 if share else 0.0,
            "% of a core": 100 * (cpu_seconds(pid) - before) / seconds,
        }
