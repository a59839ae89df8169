"""`cit-publish`: pushes the results of attempts that have ended."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from citgit.flows.builds import Repository
from citgit.flows.worker import Worker
from citgit.programs.plumbing import main as run


def step(worker: Worker, repository: Repository, options: argparse.Namespace) -> int:
    """One step."""
    worker.do_publish(repository)
    worker.flush()
    worker.do_settle(repository)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Exit: 0 done · 1 nothing to do · 3 refused · 75 the host is away."""
    return run("cit-publish", __doc__ or "", argv, step)


if __name__ == "__main__":
    sys.exit(main())
