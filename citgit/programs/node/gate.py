"""What must hold before a client reads anything of an attempt: the policy lets them, and they may have the code."""

from __future__ import annotations

import contextlib

from citgit.errors import RemoteAway
from citgit.flows.private import grants
from citgit.programs.node.asked import Asked, need
from citgit.rules.private import is_private
from citgit.rules.reading import denied, needs_code
from citgit.wiring.homes import Kept, find_kept
from citgit.wiring.proofs import need_proof
from citgit.wiring.serve_node import Talk


def admitted(asked: Asked) -> Kept:
    """The attempt that the first word names, if the policy lets this client read it. Raises NotFound, Refused."""
    kept = find_kept(asked.places(), asked.words[0])
    state, policies = kept.home.state, kept.home.repository.snapshot.policies
    granted: list[str] = []
    if is_private(kept.attempt.request):
        with contextlib.suppress(RemoteAway):
            granted = [name for one in grants(state, policies, kept.build) for name in one.readers]
    need(
        asked.refusal(policies.tip, lambda policy, who: denied(policy, who, kept.build, kept.attempt.request, granted))
    )
    return kept


def need_code(asked: Asked, talk: Talk, kept: Kept, artifact: str = "") -> None:
    """Sees that this client may check out the code of the attempt. Raises Refused.

    In the account whose worker checked it out they have it already; else they prove that they do.
    """
    if asked.own:
        return
    policy = kept.home.repository.snapshot.policies.tip
    if needs_code(policy, asked.reader, kept.build, kept.attempt.request, artifact):
        need_proof(talk, kept, asked.reader)
