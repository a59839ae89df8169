"""Whether a record may stand at a ref without a life cycle: an agent's beats, a lock, the readers of a build."""

from __future__ import annotations

from typing import NamedTuple

from citgit.model.build import Link
from citgit.model.names import Kind, Place
from citgit.model.policy import PolicyChain, PolicyView
from citgit.model.record import Advert, Beat, Grant, Lock
from citgit.rules.authority import speaks_for
from citgit.rules.place import place_fault

_TYPES: dict[Kind, tuple[type, ...]] = {Kind.AGENT: (Advert, Beat), Kind.LOCK: (Lock,), Kind.GRANT: (Grant,)}


class Fault(NamedTuple):
    """What a record breaks: the rule in a word, and how."""

    rule: str
    words: str


def side_fault(
    policies: PolicyChain, ref: str, place: Place, parent: Link | None, link: Link, judge: PolicyView | None = None
) -> Fault | None:
    """What is wrong with the form, the place or the signer of `link`, which follows `parent`.

    The signer is judged by the policy `judge`, or by the one that the record cites.
    """
    record = link.record
    if record is None:
        return None if link.unsupported else Fault("record", link.fault)
    head, body = record.head, record.body
    if len(link.parents) > 1 or not isinstance(body, _TYPES[place.kind]) or (parent is None and isinstance(body, Beat)):
        return Fault("shape", f"{head.type} records do not belong here")
    before = parent.record if parent else None
    build = place.leaf if place.kind is Kind.GRANT else ""
    seq = before.head.seq + 1 if before else 0
    if words := place_fault(head, repo=policies.repo, ref=ref, build=build, seq=seq, parent=parent):
        return Fault("place", words)
    cited = policies.index(head.policy)
    if cited is None:
        return Fault("policy", f"cites policy {head.policy[:12]}, which is not known here")
    if not speaks_for(judge or policies.policies[cited], head.actor, link.key):
        return Fault("signature", f"the key that signed it is not one of {head.actor}")
    if place.kind is Kind.AGENT and head.actor.partition(":")[2] != place.group:
        # a person who builds their own requests beats too, under their own name
        return Fault("actor", f"{head.actor} writes to another agent's ref")
    if isinstance(body, Advert) and body.boot != place.leaf:
        return Fault("place", "the advert is of another boot")
    return None
