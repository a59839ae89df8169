"""`cit-build`: starts the attempt of a claim and waits until it has ended; the result stays on disk."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from citgit.flows.builds import Repository
from citgit.flows.claims import Claimed, is_finished
from citgit.flows.worker import Worker
from citgit.programs.plumbing import main as run


def step(worker: Worker, repository: Repository, options: argparse.Namespace) -> int:
    """One step."""
    for build in repository.active():
        if build.held is None or build.held.claim != options.claim:
            continue
        body = worker.body_of(options.claim)
        if options.claim not in worker.workshop.running() and body is not None:
            claimed = Claimed(build=build, claim=options.claim, body=body)
            # whoever won the claim looked too, and may have died before it could drop it
            if is_finished(worker.state, repository, claimed):
                return 1
            worker.start(claimed)
        while worker.workshop.poll(options.claim) is None:
            worker.state.clock.sleep(0.02)
        return 0
    return 1


def main(argv: Sequence[str] | None = None) -> int:
    """Exit: 0 done · 1 nothing to do · 3 refused · 75 the host is away."""
    return run("cit-build", __doc__ or "", argv, step, claim=True)


if __name__ == "__main__":
    sys.exit(main())
