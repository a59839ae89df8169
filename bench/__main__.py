"""Runs the measurements in turn, several rounds, and tells medians: `python -m bench [NAME...] [--rounds N]`."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
from pathlib import Path

from bench.stage import median

NAMES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if "\ndef measure(" in path.read_text())

# It is installed from the package index first, which nobody may expect of a measurement.
ASKED_FOR = {"buildbot"}


def main() -> int:
    """One JSON document on stdout."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help=f"default: all but {', '.join(ASKED_FOR)}")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    for round_ in range(options.rounds):
        for name in options.names or [name for name in NAMES if name not in ASKED_FOR]:
            measured = importlib.import_module(f"bench.{name}").measure()
            print(f"{round_ + 1}/{options.rounds} {name}: {measured}", file=sys.stderr)
            for key, value in measured.items():
                found.setdefault(name, {}).setdefault(key, []).append(value)
    figures = {
        name: {
            key: {"median": round(median(values), 2), "low": round(min(values), 2), "high": round(max(values), 2)}
            for key, values in rows.items()
        }
        for name, rows in found.items()
    }
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    document = {"version": 1, "machine": machine, "rounds": options.rounds, "figures": figures}
    print(json.dumps(document | {"ratios": _ratios(figures)}, indent=2))
    return 0


def _ratios(figures: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """How many times better than Buildbot, of what was measured of both in this run."""

    def middle(name: str, key: str) -> float:
        return figures.get(name, {}).get(key, {}).get("median", 0.0)

    pairs = {
        "builds/s": (middle("builds", "builds/s"), middle("buildbot", "builds/s")),
        "request to start": (middle("buildbot", "request to start p50 ms"), middle("latency", "warm p50 ms")),
    }
    return {name: round(better / worse, 1) for name, (better, worse) in pairs.items() if better and worse}


if __name__ == "__main__":
    sys.exit(main())
