"""`cit-serve clean CLAIM`: removes the workspace that an ended attempt left; its log and artifacts stay."""

from __future__ import annotations

from citgit.errors import Errored, NotYet
from citgit.programs.node.asked import Asked, need
from citgit.rules.reading import denied_clean
from citgit.wiring.homes import find_kept, is_over, workspace_of
from citgit.wiring.serve_node import Cleaned, Talk, drop


def serve(asked: Asked, talk: Talk) -> None:
    """Tells how many bytes that freed. Raises NotFound, NotYet, Refused."""
    kept = find_kept(asked.places(), asked.words[0])
    policy = kept.home.repository.snapshot.policies.tip
    need(asked.refusal(policy, lambda policy, who: denied_clean(policy, who, kept.build)))
    if not is_over(kept):
        raise NotYet(f"attempt {asked.words[0][:12]} has not ended", hint="'cit cancel' ends a build")
    freed = drop(workspace_of(kept))
    if freed is None:
        raise Errored(
            "the workspace cannot be removed",
            hint="somebody else removes it just now, or this account may not remove all of it",
        )
    talk.say(Cleaned(freed=freed))
