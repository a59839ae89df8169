"""What stands at the ref of a build and is none: it may go, or be replaced, and nothing is lost (PROTOCOL §3)."""

from __future__ import annotations

from citgit.errors import CitError
from citgit.flows.chains import read_chain
from citgit.flows.policies import read_policies
from citgit.flows.state import State
from citgit.interfaces import Oid
from citgit.model.names import Kind
from citgit.model.record import CauseKind, Request
from citgit.rules.facts import NoFacts
from citgit.rules.judge import judge
from citgit.rules.lifecycle import State as Life


def was_no_build(state: State, policy: Oid | None, ref: str, tip: Oid) -> bool:
    """Whether the chain that ended at `tip` had a void root under the policies up to `policy`.

    "No" where that cannot be told from the chain alone: a promised build's root rests on its promise.
    """
    place = state.refs.parse(ref)
    if policy is None or place is None or place.kind is not Kind.BUILD:
        return False
    try:
        root = read_chain(state, tip)[:1]
        body = root[0].record.body if root[0].record else None
        if isinstance(body, Request) and body.cause.kind is CauseKind.PROMISE:
            return False
        return judge(ref, place, root, read_policies(state, policy), NoFacts()).state == Life.NONE.value
    except CitError:
        return False
