"""`cit-claim`: beats, takes one waiting build, prints `{"claim": OID, "build": ID}`; starts nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.flows.worker import Worker
from citgit.programs.plumbing import held
from citgit.programs.plumbing import main as run


def step(worker: Worker, repository: Repository, options: argparse.Namespace) -> int:
    """One step."""
    if held(worker, repository):
        return 1
    worker.hands_off = True
    worker.do_beat(repository)
    before = set(worker.actor.journal.claims())
    worker.slots = len(worker.workshop.running()) + 1
    worker.do_claim(repository)
    worker.flush()
    new = worker.actor.journal.claims() - before
    for build in Repository(worker.state, poll(worker.state)).active():
        if build.held and build.held.claim in new:
            print(json.dumps({"version": 1, "claim": build.held.claim, "build": build.id}))
            return 0
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Exit: 0 done · 1 nothing to do · 3 refused · 75 the host is away."""
    return run("cit-claim", __doc__ or "", argv, step)


if __name__ == "__main__":
    sys.exit(main())
