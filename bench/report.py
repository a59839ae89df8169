"""`cit report` over a long history: made for the first time, and brought up to date after one new build."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from bench.past import fill
from bench.stage import Stage, stage

BUILDS = int(os.environ.get("CIT_BENCH_BUILDS", "10000"))


def measure() -> dict[str, float]:
    """Seconds, of a process each; the builds have chains of their own, with signatures that hold."""
    with stage() as place:
        fill(place, BUILDS, whole=True)
        found = {f"{BUILDS} builds: the first report s": _report(place)}
        place.requester().ask("noop")
        found[f"{BUILDS} builds: after one new build s"] = _report(place)
        pages = len(list((place.top / "report" / "build").iterdir()))
        assert pages == BUILDS + 1, pages
        found["MiB of pages"] = sum(path.stat().st_size for path in Path(place.top / "report").rglob("*.*")) / 2**20
    return found


def _report(place: Stage) -> float:
    begin = time.perf_counter()
    argv = place.cit("report", "--out", str(place.top / "report"))
    subprocess.run(argv, cwd=place.checkout, env=place.env, check=True, capture_output=True)
    return time.perf_counter() - begin
