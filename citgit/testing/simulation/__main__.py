"""`python -m citgit.testing.simulation`: runs traces and says whether all promises held."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from citgit.testing.simulation import campaign
from citgit.testing.simulation.profile import PROFILES


def main(argv: Sequence[str] | None = None) -> int:
    """Exit: 0 all promises held · 1 one did not, with a seed and a command."""
    parser = argparse.ArgumentParser(
        prog="python -m citgit.testing.simulation", description=__doc__,
        epilog="profiles: " + "; ".join(f"{one.name}: {one.aim}" for one in PROFILES.values()),
    )  # fmt: skip
    parser.add_argument("--profile", default="all", choices=["all", *PROFILES], help="which mix of faults")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=100, help="traces in all, shared out among the profiles")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long, with what was seen; 0: never")
    parser.add_argument("--failures", type=int, default=10, help="stop after so many")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON document")
    options = parser.parse_args(argv)
    profiles = list(PROFILES) if options.profile == "all" else [options.profile]
    each = -(-options.count // len(profiles))
    total = campaign.Summary()
    told, shown = 0, 0.0
    for total in campaign.run(
        profiles, options.first, each, options.jobs, most_failures=options.failures, minutes=options.minutes
    ):
        for failure in total.failures[told:]:
            print(f"BROKEN: {failure}", file=sys.stderr, flush=True)
        told = len(total.failures)
        if sys.stderr.isatty():
            print(f"\r{total.traces} of {each * len(profiles)}", end="", file=sys.stderr, flush=True)
        elif total.seconds >= shown + 60:
            shown = total.seconds
            left = (options.first + each - total.next) * len(profiles)
            where = f"to go on from here: --first {total.next} --count {left}"
            print(f"{total.traces} of {each * len(profiles)} traces; {where}", file=sys.stderr, flush=True)
    if options.json:
        document = {
            "version": 1, "profiles": profiles, "first": options.first, "next": total.next,
            "traces": total.traces, "jobs": options.jobs,
            "seconds": round(total.seconds, 1), "counts": dict(sorted(total.counts.items())),
            "failures": total.failures,
        }  # fmt: skip
        print(json.dumps(document))
    else:
        words = ", ".join(f"{count} {name}" for name, count in sorted(total.counts.items()))
        held = "all promises held" if not total.failures else f"{len(total.failures)} broke a promise"
        print(f"{total.traces} traces in {total.seconds:.0f} s: {held} ({words})")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
