"""The fold of a chain: each record in its order against the table, the policies and the facts (PROTOCOL §3-§6).

A reader, a worker and a server hook call this one function, so that they cannot disagree.
It decides nothing by a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from msgspec.structs import replace

from citgit.errors import NotYet
from citgit.model.build import Build, Entry, Held, Link
from citgit.model.names import Place
from citgit.model.policy import PolicyChain, PolicyView
from citgit.model.record import (
    CauseKind,
    Claim,
    Lost,
    Moved,
    Outcome,
    Pause,
    Priority,
    Progress,
    Promise,
    Record,
    RecordType,
    Request,
    Result,
    Reused,
    Skipped,
    Supersede,
)  # fmt: skip
from citgit.rules.authority import alias_of, is_known, may_vouch, runs_as_owner, speaks_for, standings
from citgit.rules.facts import Facts
from citgit.rules.lifecycle import TABLE, Guard, Rule, State, To, Who
from citgit.rules.place import form_rule, place_fault, place_rule
from citgit.rules.requests import origin_of, promises_fault, request_fault

OWNER_RANK, MAINTAINER_RANK = 1, 2

_OUTCOME = {
    RecordType.EXPIRED: Outcome.TIMED_OUT,
    RecordType.CANCEL: Outcome.CANCELLED,
    RecordType.SUPERSEDE: Outcome.SUPERSEDED,
    RecordType.REUSED: Outcome.REUSED,
    RecordType.SKIPPED: Outcome.SKIPPED,
    RecordType.MOVED: Outcome.MOVED,
    RecordType.LOST: Outcome.ERRORED,
}


class _Case(NamedTuple):
    """What the records of one chain are judged by; `later` says whether policies after the cited one count too.

    `archived` believes whoever archived the chain that the builds on which its end rests were there.
    """

    links: Sequence[Link]
    chain: PolicyChain
    facts: Facts
    later: bool
    archived: bool


def judge(
    ref: str, place: Place, links: Sequence[Link], chain: PolicyChain, facts: Facts, *, as_written: bool = False,
    archived: bool = False,
) -> Build:  # fmt: skip
    """What the chain (root first) at `ref` amounts to.

    `as_written` judges each record by the policy that it cites alone, as its writer did: what is void even then, no
    honest program wrote. It shows who lied, and decides nothing. `archived` does so for a chain in an archive, where a
    build that a record rests on may be missing: a host that came back from a backup has it only once it is given back.

    Raises:
        NotYet: a record cites a policy, or refers to a build, that the repository as fetched does not hold.
    """
    build = Build(id=place.leaf, pool=place.group, ref=ref, tip=links[-1].oid, state=State.NONE.value)
    parent: Link | None = None
    case = _Case(links, chain, facts, not (as_written or archived), archived)
    for seq, link in enumerate(links):
        if broken := _shape(link, parent):
            return replace(build, broken=broken)
        if link.unsupported and (is_known(chain.tip, link.key) or (build.held and build.held.attempt_key == link.key)):
            return replace(build, unsupported=link.unsupported, entries=(*build.entries, Entry(link=link)))
        build = _step(build, link, parent, seq, case)
        if seq == 0 and build.state == State.NONE.value:
            return replace(build, broken=f"root is void: {build.entries[0].void}")
        parent = link
    return build


def once_final(found: Build, written: Build) -> Build:
    """An archived build that a later policy made void, or a missing build: it stays final, and reads errored (revoked).

    `found` is the judgement by all policies and facts, `written` the one by what its writers and archivers saw.
    """
    if found.is_final or not written.is_final:
        return found
    known = {entry.link.oid: entry for entry in found.entries}
    entries = tuple(known.get(one.link.oid, one) for one in written.entries)
    return replace(written, entries=entries, outcome=Outcome.ERRORED, revoked=True)


def _shape(link: Link, parent: Link | None) -> str:
    expected = (parent.oid,) if parent else ()
    if link.parents != expected:
        return f"commit {link.oid[:12]} has other parents than the previous record"
    return ""


def _step(build: Build, link: Link, parent: Link | None, seq: int, case: _Case) -> Build:
    record, chain, facts = link.record, case.chain, case.facts
    claims = (record.head.type if record else link.kind) == RecordType.CLAIM.value
    counted = replace(build, claims=build.claims + 1) if claims else build
    if record is None:
        # what only another version can read stops this one (see `judge`), but nobody stops a build who may not write
        return _append(counted, link, link.fault or f"{link.unsupported}, and a stranger signed it", form_rule(link))
    kind = RecordType(record.head.type)
    if fault := place_fault(record.head, repo=chain.repo, ref=build.ref, build=build.id, seq=seq, parent=parent):
        return _append(counted, link, fault, place_rule(fault))
    if fault := _citation(build, link, record, seq, case):
        return _append(counted, link, fault, "policy")
    rule = TABLE.get((State(build.state), kind))
    if rule is None:
        return _append(counted, link, f"{kind.value} is not allowed in state {build.state}", "life cycle")
    who = _standings(build, link, record, seq, case)
    if not (who & rule.who):
        wanted = " or ".join(sorted(one.value for one in rule.who))
        return _append(counted, link, f"{record.head.actor} is not {wanted}", "role")
    for guard in rule.guards:
        fault = _GUARDS[guard](build, record, who, chain, facts)
        if fault and not (case.archived and _rests_on_absent(build, record, facts)):
            return _append(counted, link, fault, "life cycle")
    return _append(_apply(counted, link, record, kind, rule, who, chain, facts), link)


def _append(build: Build, link: Link, void: str = "", rule: str = "") -> Build:
    return replace(build, entries=(*build.entries, Entry(link=link, void=void, rule=rule)))


def _citation(build: Build, link: Link, record: Record, seq: int, case: _Case) -> str:
    """Why the record may not cite the policy that it cites; "" if it may. Raises NotYet."""
    policy, chain = record.head.policy, case.chain
    cited = chain.index(policy)
    if cited is None:
        # The policies were read after this record, so an honest host that lost none knows every policy ever cited.
        if not _signs(build, link, record, chain.tip):
            return f"cites policy {policy[:12]}, which is not known here, and is signed by a stranger"
        if any(_covers(one, build, seq, case) for one in chain.policies):
            return f"cites policy {policy[:12]}, which none up to the seal over this record is"
        raise NotYet(
            f"record {link.oid[:12]} of {record.head.actor} cites policy {policy[:12]}, which the host does not hold",
            hint="the host hides or lost a policy, or the record lies: an admin decides, with 'cit restore' or by "
            "'cit policy publish', whose seal ends the wait",
        )
    before = max((chain.index(policy) or 0 for policy in build.policies), default=0)
    return "cites an older policy than a record before it" if cited < before else ""


def _covers(policy: PolicyView, build: Build, seq: int, case: _Case) -> bool:
    """Whether the policy's seal holds the record at `seq`, or one after it in the chain."""
    sealed = policy.seal.builds.get(build.ref) or case.facts.sealed(policy.oid, build.id)
    return bool(sealed) and any(link.oid == sealed for link in case.links[seq:])


def _applicable(build: Build, record: Record, seq: int, case: _Case) -> list[PolicyView]:
    """The cited policy and every later one before the first whose seal covers the record (PROTOCOL §6)."""
    cited = case.chain.index(record.head.policy) or 0
    policies = [case.chain.policies[cited]]
    if isinstance(record.body, Request) and record.body.cause.kind is CauseKind.PROMISE:
        return policies  # its authority is the promise: were its signer dropped, what others promised would be lost
    for policy in case.chain.policies[cited + 1 :] if case.later else ():
        if _covers(policy, build, seq, case):
            break  # whoever published it had read the record: it drops nobody's past
        policies.append(policy)
    return policies


def _standings(build: Build, link: Link, record: Record, seq: int, case: _Case) -> frozenset[Who]:
    request = record.body if isinstance(record.body, Request) else None
    all_of: frozenset[Who] | None = None
    for policy in _applicable(build, record, seq, case):
        actor, key, held = record.head.actor, _key(build, link, record, policy), build.held
        found = standings(
            policy,
            actor=actor,
            key=key,
            pool=build.pool,
            owner=build.owner,
            principal=build.principal,
            request=request,
            alias=alias_of(request or build.request),
            as_owner=runs_as_owner(request or build.request),
        )
        if held and actor == held.actor and Who.AGENT in found:
            found |= {Who.HOLDER}
        if key != link.key:
            found &= {Who.HOLDER}
        all_of = found if all_of is None else all_of & found
    return all_of or frozenset()


def _key(build: Build, link: Link, record: Record, policy: PolicyView) -> str:
    """The key whose standing counts: an attempt key stands and falls with the agent that named it."""
    held = build.held
    if held and held.attempt_key and link.key == held.attempt_key and record.head.actor == held.actor:
        agent = policy.team.agent.get(held.actor.removeprefix("agent:"))
        return " ".join(agent.key.split()[:2]) if agent else ""
    return link.key


def _signs(build: Build, link: Link, record: Record, policy: PolicyView) -> bool:
    return speaks_for(policy, record.head.actor, _key(build, link, record, policy))


def _apply(
    build: Build, link: Link, record: Record, kind: RecordType, rule: Rule, who: frozenset[Who],
    chain: PolicyChain, facts: Facts,
) -> Build:  # fmt: skip
    body = record.body
    state = build.state if rule.to is To.SAME else rule.to.value
    build = replace(build, state=state)
    match body:
        case Request():
            policy = chain.policies[chain.index(record.head.policy) or 0]
            vouched = may_vouch(policy.team, record.head.actor, body.cause.principal)
            origin = origin_of(record.head.actor, body, facts, vouched=vouched)
            build = replace(
                build, request=body, owner=origin.owner, principal=origin.principal, priority=body.priority,
                requested=record.head.time,
            )  # fmt: skip
        case Claim():
            held = Held(claim=link.oid, actor=record.head.actor, attempt=body.attempt, attempt_key=body.attempt_key)
            build = replace(build, held=held, valid_claims=build.valid_claims + 1)
        case Pause():
            rank = MAINTAINER_RANK if Who.MAINTAINER in who else OWNER_RANK
            build = replace(build, pause_rank=rank, pause_at=body.at, paused_by=record.head.actor)
        case Priority():
            build = replace(build, priority=body.priority)
        case Result():
            build = replace(build, result=body)
    if state == State.STOPPING.value:
        build = replace(build, stopping=_OUTCOME[kind])
    if state == State.FINAL.value:
        outcome = build.stopping or (body.outcome if isinstance(body, Result) else _OUTCOME[kind])
        build = replace(build, outcome=outcome, final=link.oid, ended=record.head.time)
    return build


def promises_of(build: Build) -> list[Promise]:
    """The promises of the build's valid records, in the order of their indices."""
    return [promise for entry in build.entries if not entry.void for promise in _promised(entry.link.record)]


def _promised(record: Record | None) -> tuple[Promise, ...]:
    body = record.body if record else None
    return body.promises if isinstance(body, Request | Result | Moved) else ()


_Check = Callable[[Build, Record, frozenset[Who], PolicyChain, Facts], str]


def _request_is_sound(build: Build, record: Record, _who: frozenset[Who], chain: PolicyChain, facts: Facts) -> str:
    return request_fault(chain.repo, build.pool, build.id, cast(Request, record.body), facts)


def _attempt_counts(build: Build, record: Record, *_: object) -> str:
    attempt = cast(Claim, record.body).attempt
    return "" if attempt == build.claims + 1 else f"attempt is {attempt}, not {build.claims + 1}"


def _under_max(build: Build, *_: object) -> str:
    most = build.request.max_attempts if build.request else 0
    return "" if build.valid_claims < most else f"all {most} attempts are used"


def _at_max(build: Build, *_: object) -> str:
    most = build.request.max_attempts if build.request else 0
    return "" if build.valid_claims >= most else f"only {build.valid_claims} of {most} attempts are used"


def _names_claim(build: Build, record: Record, *_: object) -> str:
    named = cast(Progress | Result | Lost, record.body).claim
    current = build.held.claim if build.held else ""
    return "" if named == current else f"names claim {named[:12]}, the current one is {current[:12]}"


def _not_held(build: Build, record: Record, _who: frozenset[Who], chain: PolicyChain, _facts: Facts) -> str:
    policy = chain.policies[chain.index(record.head.policy) or 0]
    return f"policy {policy.version} holds all claims" if policy.hold else ""


def _may_resume(build: Build, record: Record, who: frozenset[Who], *_: object) -> str:
    if Who.MAINTAINER in who or (Who.OWNER in who and build.pause_rank == OWNER_RANK):
        return ""
    if Who.AGENT in who and build.pause_at is not None:
        return ""
    return f"only a maintainer may resume what {build.paused_by} paused"


def _successor(build: Build, record: Record, _who: frozenset[Who], _chain: PolicyChain, facts: Facts) -> str:
    named = cast(Supersede, record.body).successor
    if named <= build.id:
        return f"successor {named} has not a greater id"
    other, request = facts.other(named), build.request
    if other is None:
        return f"successor {named} does not exist"
    same = request and (other.pool, other.job, other.branch) == (build.pool, request.job, request.branch)
    return "" if same else f"successor {named} is not of the same pool, job and branch"


def _evidence(build: Build, record: Record, _who: frozenset[Who], _chain: PolicyChain, facts: Facts) -> str:
    body = cast(Reused | Skipped, record.body)
    other = facts.other(body.build)
    if other is None or not other.final or other.final != body.final:
        return f"{body.final[:12]} is not the final record of build {body.build}"
    if isinstance(body, Reused):
        return "" if other.outcome is Outcome.PASSED and body.build != build.id else "the named build did not pass"
    upstream = build.request.upstream.values() if build.request else ()
    if body.build not in upstream:
        return f"build {body.build} is not upstream of this one"
    return "" if other.outcome not in (Outcome.PASSED, Outcome.REUSED) else "the upstream build passed"


def _rests_on_absent(build: Build, record: Record, facts: Facts) -> bool:
    """Whether the record ends this build because of another one that is not here, or not as it was.

    After a restore a build that had ended may come to another end.
    """
    body = record.body
    if isinstance(body, Supersede):
        return body.successor > build.id and facts.other(body.successor) is None
    if not isinstance(body, Reused | Skipped):
        return False
    other = facts.other(body.build)
    return other is None or other.final not in ("", body.final)


def _promises_fit(build: Build, record: Record, *_: object) -> str:
    before = sum(len(_promised(entry.link.record)) for entry in build.entries)
    return promises_fault(build.id, _promised(record), before)


def _one_promise(build: Build, record: Record, *_: object) -> str:
    promises = cast(Moved, record.body).promises
    if len(promises) != 1:
        return f"promises {len(promises)} builds, not one"
    return "" if promises[0].pool != build.pool else "moves to the pool it is in"


def _in_limits(build: Build, record: Record, who: frozenset[Who], chain: PolicyChain, _facts: Facts) -> str:
    most = chain.policies[chain.index(record.head.policy) or 0].team.limits.priority
    wanted = cast(Priority, record.body).priority
    if Who.MAINTAINER in who or abs(wanted) <= most:
        return ""
    return f"an owner's priority is within {-most}..{most}"


_GUARDS: dict[Guard, _Check] = {
    Guard.REQUEST_IS_SOUND: _request_is_sound,
    Guard.ATTEMPT_COUNTS: _attempt_counts,
    Guard.UNDER_MAX: _under_max,
    Guard.AT_MAX: _at_max,
    Guard.NAMES_CLAIM: _names_claim,
    Guard.NOT_HELD: _not_held,
    Guard.MAY_RESUME: _may_resume,
    Guard.SUCCESSOR: _successor,
    Guard.EVIDENCE: _evidence,
    Guard.PROMISES_FIT: _promises_fit,
    Guard.ONE_PROMISE: _one_promise,
    Guard.IN_LIMITS: _in_limits,
}
