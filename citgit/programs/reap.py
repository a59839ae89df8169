"""`cit-reap`: watches leases for two and a half lease times; takes over or ends what is lost."""

from __future__ import annotations

import argparse
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
    ttl = repository.snapshot.policies.tip.team.limits.ttl
    until = worker.state.clock.monotonic() + 2.5 * ttl
    while worker.state.clock.monotonic() < until:
        worker.do_reap(Repository(worker.state, poll(worker.state)))
        worker.flush()
        worker.state.clock.sleep(1.0)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Exit: 0 done · 1 nothing to do · 3 refused · 75 the host is away."""
    return run("cit-reap", __doc__ or "", argv, step)


if __name__ == "__main__":
    sys.exit(main())
