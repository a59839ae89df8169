"""Whether a policy may follow another one (PROTOCOL §6): version by version, from the pinned root."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from citgit.errors import Refused
from citgit.model.build import Link
from citgit.model.policy import PolicyView, Seal
from citgit.model.record import Policy, Record
from citgit.model.team import Role, Team
from citgit.records import canonical
from citgit.rules.authority import has_role, live_keys, speaks_for

SIGNATURES = "signatures/"
"""The folder of a policy's tree with the other admins' signatures, each under its admin's name."""


def cosigned_text(record: Record) -> bytes:
    """What the other admins sign: all that the policy says and where it stands, but their own signatures."""
    body = {key: value for key, value in record.document["body"].items() if key != "signatures"}
    seal = next((one.sha256 for one in _policy(record).files if one.name == "seal.json"), "")
    return canonical.dumps({
        "body": hashlib.sha256(canonical.dumps(body).encode()).hexdigest(),
        "previous": record.head.prev or "", "seal": seal, "type": "policy-signature",
        "version": _policy(record).version,
    }).encode()  # fmt: skip


def _policy(record: Record) -> Policy:
    if not isinstance(record.body, Policy):
        raise Refused(f"a {record.head.type} is no policy")
    return record.body


def accept(
    before: PolicyView | None,
    link: Link,
    ref: str,
    seq: int,
    team: Team,
    seal: Seal,
    cosigners: Mapping[str, str] | None = None,
) -> PolicyView:
    """The policy that `link` adds after `before` (None for the root).

    `cosigners` are the names under `signatures/` with the keys that made those signatures, which were verified.

    Raises:
        Refused: the shape, the version, the signer or the threshold is not what the policy before demands.
    """
    view = proposed(before, link, ref, seq, team, seal, cosigners or {})
    judge = before or view
    behind = admins_behind(judge, link, cosigners or {})
    if len(behind) < judge.team.limits.admins:
        raise Refused(
            f"policy {link.oid[:12]} needs {judge.team.limits.admins} admins, and has {', '.join(sorted(behind))}",
            hint="another admin signs the proposal with 'cit policy sign'",
        )
    return view


def proposed(
    before: PolicyView | None, link: Link, ref: str, seq: int, team: Team, seal: Seal, cosigners: Mapping[str, str]
) -> PolicyView:
    """As `accept`, for a policy that may still lack signatures of other admins. Raises Refused."""
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
        revoked={**(before.revoked if before else {}), **{one.key: one.why for one in body.revoked}},
        actor=head.actor, key=link.key, cosigners=tuple(sorted(cosigners)), time=head.time, reason=body.reason,
    )  # fmt: skip
    judge = before or view
    if not _is_admin(judge, head.actor, link.key):
        raise Refused(f"{where} is signed by {head.actor}, who is no admin of the policy before it")
    for name, key in cosigners.items():
        if not _is_admin(judge, f"person:{name}", key):
            raise Refused(f"{where} is signed by person:{name} too, who is no admin of the policy before it")
    return view


def admins_behind(judge: PolicyView, link: Link, cosigners: Mapping[str, str]) -> set[str]:
    """The admins who stand behind a proposed policy: each counts once, and so does each key."""
    actor = link.record.head.actor if link.record else ""
    by_key = {key: f"person:{name}" for name, key in cosigners.items()} | {link.key: actor}
    return {name for key, name in by_key.items() if _is_admin(judge, name, key)}


def lockout(view: PolicyView) -> str:
    """Why nobody could publish a policy after this one; "" if enough admins are left."""
    left = [name for name in view.team.person if _is_admin(view, f"person:{name}") and live_keys(view, name)]
    need = view.team.limits.admins
    return "" if len(left) >= need else f"it would leave {len(left)} admins with a valid key, and {need} must sign"


def _is_admin(policy: PolicyView, actor: str, key: str = "") -> bool:
    return has_role(policy.team, actor, Role.ADMIN) and (not key or speaks_for(policy, actor, key))
