"""The campaigns of faults at full size, all or some by name, each with one line of JSON at its end.

`python tests/faults/soak.py [NAME…] [--at-once N] [--records FOLDER]`. What has passed is in FOLDER and is not tried
again, so a campaign may be stopped and gone on with; an empty folder begins anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


@dataclass(frozen=True, slots=True)
class Campaign:
    """Tests of a file (chosen with pytest's -k) that try a kind of fault `size` times."""

    what: str
    file: str
    chosen: str
    size: int
    alone: bool = False


CAMPAIGNS = {
    "steps": Campaign("SIGKILL before and after each of 36 steps, 20 times", "test_kill.py", "all-seed", 1440),
    "random": Campaign("SIGKILL at random times", "test_kill.py", "at_random_times", 1000),
    "stopped": Campaign("SIGSTOP past the lease", "test_stopped.py", "from", 200),
    "power": Campaign("power cuts of host and node", "test_power.py", "", 200),
    "damage": Campaign("damaged files", "test_damage.py", "deceived", 1000),
    "disk": Campaign("sites of ENOSPC, EIO, EROFS, EMFILE", "test_disk.py", "write_site", 240),
    "cuts": Campaign("cut points of the connection, by git and by the channel", "test_host.py", "test_cut", 400),
    "away": Campaign("host away for ten minutes, by git and by the channel", "test_host.py", "away and 600", 2),
    "claimers": Campaign("builds for 64 claimers", "test_many_workers.py", "claimers", 1000, alone=True),
    "week": Campaign("builds of a week in an hour", "test_week.py", "", 2000, alone=True),
    "others": Campaign("the rest: requesters, builders, locks, clocks, hosts, hostile builds", "", "", 0),
}


def main() -> int:
    """Runs them; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CAMPAIGNS)}; default: all")
    parser.add_argument("--at-once", type=int, default=2, help="how many worlds at once")
    parser.add_argument("--records", type=Path, default=ROOT / "soak", help="where what passed is kept")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(CAMPAIGNS):
        parser.error(f"no campaign {', '.join(sorted(unknown))}")
    failed = False
    for name in chosen.names or CAMPAIGNS:
        status = run(CAMPAIGNS[name], chosen.records, chosen.at_once)
        line = summary(name, chosen.records)
        failed |= status not in (0, 5) or bool(line["failed"])  # 5: nothing was left to do
        print(json.dumps(line), flush=True)
    return failed


def run(campaign: Campaign, records: Path, at_once: int) -> int:
    """The exit status of pytest."""
    env = {"CIT_ROUNDS": "20", "CIT_PATIENCE": "600", "CIT_WEEK": "3600", **os.environ, "CIT_RECORDS": str(records)}
    selected = campaign.chosen or " and ".join(f"not ({each})" for each in _others()) * (not campaign.file)
    argv = [
        sys.executable, "-m", "pytest", "-n", str(0 if campaign.alone else at_once), str(HERE / campaign.file),
        *(("-k", selected) if selected else ()),
    ]  # fmt: skip
    return subprocess.run(argv, cwd=ROOT, env=env, stdout=sys.stderr, check=False).returncode


def _others() -> Iterator[str]:
    """What the named campaigns choose."""
    for one in CAMPAIGNS.values():
        if one.file:
            yield f"{one.file} and {one.chosen}" if one.chosen else one.file


def summary(name: str, records: Path) -> dict[str, Any]:
    """What is recorded of a campaign, over all times that it was gone on with; of each test its last end."""
    path = records / "tests.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    last = {one["test"]: one for one in lines if belongs(one["test"]) == name}
    return {
        "campaign": name,
        "what": CAMPAIGNS[name].what,
        "size": CAMPAIGNS[name].size,
        "tried": sum(one["tried"] for one in last.values()),
        "tests": len(last),
        "failed": sorted(test for test, one in last.items() if one["outcome"] != "passed"),
        "minutes": round(sum(one["seconds"] for one in last.values()) / 60, 1),
    }


def belongs(test: str) -> str:
    """The campaign of a test."""
    for name, one in CAMPAIGNS.items():
        words = one.chosen.split(" and ")
        if one.file and one.file in test and all(word in test for word in words):
            return name
    return "others"


if __name__ == "__main__":
    sys.exit(main())
