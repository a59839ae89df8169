"""What a private build shows to everybody, and who its readers are."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from citgit.model.build import Build
from citgit.model.job import Job, Keep, Trigger, Visibility
from citgit.model.policy import PolicyView
from citgit.model.record import CauseKind, Config, PinnedSource, Request, Result
from citgit.model.request import HIDDEN_COMMIT
from citgit.model.team import Role, Team
from citgit.rules.authority import has_role, live_keys, may_claim, may_maintain, selected


def is_private(request: Request) -> bool:
    """Whether what the build prints is for its readers alone."""
    return request.definition.keep.visibility is Visibility.PRIVATE


def hides_request(request: Request) -> bool:
    """Whether the request itself is hidden too: a trigger's never is, so that every host can judge its digest."""
    return is_private(request) and request.cause.kind is not CauseKind.TRIGGER


def request_envelope(request: Request) -> Request:
    """What everybody sees of a private request: what the policy judges, and what an agent is chosen by."""
    job = request.definition
    shown = Job(
        requires=job.requires, after=job.after, place=job.place, limits=job.limits,
        trigger=Trigger(on_newer=job.trigger.on_newer),
        keep=Keep(visibility=job.keep.visibility, readers=job.keep.readers),
    )  # fmt: skip
    cause = msgspec.structs.replace(request.cause, message="")
    hidden = PinnedSource(ref="", commit=HIDDEN_COMMIT)
    config = Config(repo=request.config.repo, branch=request.config.branch, commit=HIDDEN_COMMIT)
    return msgspec.structs.replace(
        request,
        definition=shown,
        cause=cause,
        config=config,
        sources=(hidden,),
        cell={},
        parameters={},
        probed=(),
        private="",
    )


def result_envelope(result: Result) -> Result:
    """What everybody sees of a private result: that it ended, when, and how."""
    return Result(
        claim=result.claim, outcome=result.outcome, assurance=result.assurance, started=result.started,
        ended=result.ended, promises=result.promises,
    )  # fmt: skip


def readers(policy: PolicyView, request: Request, *, pool: str, owner: str, granted: Iterable[str] = ()) -> set[str]:
    """The actors who may read a private build.

    Its owner, the pool's maintainers and the agents that may build it; and those whom the job, the request or a
    grant names, if they have the role `read`.
    """
    team = policy.team
    people = {f"person:{name}" for name in team.person}
    found = named_readers(policy, [*request.definition.keep.readers, *request.readers, *granted])
    found |= {one for one in people if one == owner or may_maintain(team, one, pool)}
    return found | {one for name in team.agent if may_claim(team, one := f"agent:{name}", pool, owner)}


def named_readers(policy: PolicyView, named: Iterable[str]) -> set[str]:
    """The people whom names and @groups mean, those who have the role `read`."""
    team, words = policy.team, list(named)
    people = {f"person:{name}" for name in team.person}
    return {one for one in people if has_role(team, one, Role.READ) and selected(team, one, words)}


def may_grant(team: Team, actor: str, build: Build) -> bool:
    """Whether the actor may let others read the build: its owner may, and the pool's maintainers."""
    return (bool(build.owner) and actor == build.owner) or may_maintain(team, actor, build.pool)


def keys_of(policy: PolicyView, actors: Iterable[str]) -> list[str]:
    """The public keys that something is hidden for: those in force, and the age keys of whoever has one in force."""
    team, found = policy.team, set()
    for actor in actors:
        name = actor.partition(":")[2]
        if live := live_keys(policy, name):
            entry = team.person.get(name) or team.agent[name]
            found |= {*live, entry.age} - {""}
    return sorted(found)


def cannot_read(policy: PolicyView, actors: Iterable[str]) -> list[str]:
    """Those of the actors for whom nothing can be hidden: no key of theirs can decrypt."""
    return sorted(one for one in actors if not any(map(can_decrypt, keys_of(policy, [one]))))


def can_decrypt(key: str) -> bool:
    """Whether age knows keys of that kind."""
    return key.startswith(("ssh-ed25519 ", "ssh-rsa ", "age1"))
