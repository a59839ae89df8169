"""The build key: a digest of everything that decides a build's outcome, for finding equal builds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from citgit.model.record import Request
from citgit.records import canonical
from citgit.rules.ids import job_digest


def build_key(request: Request, trees: Mapping[str, str], executor: str, upstream: Mapping[str, str]) -> str:
    """sha256 in hex over the resolved job, parameters, cell, source *trees* by place, executor, upstream keys."""
    return hashlib.sha256(
        canonical.dumps(
            {
                "definition": job_digest(request.definition),
                "parameters": request.parameters,
                "cell": request.cell,
                "trees": dict(trees),
                "executor": executor,
                "upstream": dict(upstream),
            }
        ).encode()
    ).hexdigest()
