"""`cit-archive`: creates what builds promised, folds final ones into the archive and deletes their refs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from citgit.flows.builds import Repository
from citgit.flows.worker import Worker
from citgit.programs.plumbing import held
from citgit.programs.plumbing import main as run


def step(worker: Worker, repository: Repository, options: argparse.Namespace) -> int:
    """One step."""
    if held(worker, repository):
        return 1
    # nobody else of the small programs does it, and no build is archived before its promises exist
    worker.do_promises(repository)
    for pool in worker.pools:
        worker.do_archive(repository, pool)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Exit: 0 done · 1 nothing to do · 3 refused · 75 the host is away."""
    return run("cit-archive", __doc__ or "", argv, step)


if __name__ == "__main__":
    sys.exit(main())
