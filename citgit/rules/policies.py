"""Whether a policy may follow another one (PROTOCOL §6): version by version, from the pinned root."""

from __future__ import annotations

from citgit.errors import Refused
from citgit.model.build import Link
from citgit.model.policy import PolicyView, Seal
from citgit.model.record import Policy
from citgit.model.team import Role, Team
from citgit.rules.authority import has_role, speaks_for


def accept(before: PolicyView | None, link: Link, ref: str, seq: int, team: Team, seal: Seal) -> PolicyView:
    """The policy that `link` adds after `before` (None for the root).

    Raises:
        Refused: the shape, the version, the signer or the threshold is not what the policy before demands.
    """
    where = f"policy {link.oid[:12]}"
    if link.record is None or not isinstance(link.record.body, Policy):
        raise Refused(f"{where} is no policy: {link.fault or link.unsupported or 'another record type'}")
    head, body = link.record.head, link.record.body
    if link.parents != ((before.oid,) if before else ()) or head.seq != seq or head.ref != ref:
        raise Refused(f"{where} is not at its place in the chain")
    if body.version != (before.version + 1 if before else 1):
        raise Refused(f"{where} has version {body.version}, not {before.version + 1 if before else 1}")
    if before and body.generation < before.generation:
        raise Refused(f"{where} goes back to generation {body.generation}")
    view = PolicyView(
        oid=link.oid, version=body.version, team=team, seal=seal, generation=body.generation, hold=body.hold,
        revoked=frozenset(one.key for one in body.revoked) | (before.revoked if before else frozenset()),
        actor=head.actor, time=head.time,
    )  # fmt: skip
    judge = before or view
    if not speaks_for(judge, head.actor, link.key) or not has_role(judge.team, head.actor, Role.ADMIN):
        raise Refused(f"{where} is signed by {head.actor}, who is no admin of the policy before it")
    if judge.team.limits.admins > 1:
        raise Refused(f"{where} needs {judge.team.limits.admins} admins; more than one is not supported yet")
    return view
