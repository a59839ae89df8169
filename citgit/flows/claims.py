"""Takes builds. The claim protocol, in one place.

A claim is one commit on the build's ref, pushed with a lease on the tip it was judged at. Of any number of
claimers exactly one gets through, because the host compares and swaps; the nonce makes their commits differ,
so that no two of them can both be told "done". Who holds a build is the latest valid claim's *oid*: a worker that
was away and comes back finds another oid there and knows that its result is only evidence.

The push may be cut off in flight and land long after the build was finished, archived and deleted. Hence after
winning, and before anything runs, the archive is read once more: if the id is there, the claim is dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from citgit.errors import NotYet, Refused
from citgit.flows.builds import Repository, is_waiting
from citgit.flows.enqueue import CONFIG_PATHS, Doors
from citgit.flows.folders import is_archive
from citgit.flows.state import Actor, State
from citgit.flows.writing import Draft, draft
from citgit.interfaces import Configs, Oid, Sources, Update
from citgit.model.build import Build
from citgit.model.job import CitToml, Job, OnFailure
from citgit.model.record import Advert, Claim, Decision, Observed, Outcome, Request, Skipped
from citgit.model.request import TIP
from citgit.model.team import Pool
from citgit.rules.authority import alias_of, may_claim, runs_as_owner
from citgit.rules.ids import job_digest, month_of
from citgit.rules.placement import decide
from citgit.rules.ranking import is_left
from citgit.rules.requests import named_sources

_PROVEN_KEPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A won claim."""

    build: Build
    claim: Oid
    body: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What the builds before this one amount to: `ready`, or a `skip` record to write, or whom it waits for."""

    ready: bool
    finals: dict[str, Oid]
    skip: Skipped | None = None
    waits_for: str = ""


def upstream(repository: Repository, build: Build) -> Upstream:
    """Whether the upstream builds have ended, and what that means."""
    finals: dict[str, Oid] = {}
    for label, named in (build.request.upstream if build.request else {}).items():
        other = repository.find(named)
        if other is None or not other.is_final:
            return Upstream(ready=False, finals=finals, waits_for=f"{label} ({named})")
        job = label.split(" ")[0]
        after = build.request.definition.after.get(job) if build.request else None
        passed = other.outcome in (Outcome.PASSED, Outcome.REUSED)
        if not passed and (after is None or after.on_failure is OnFailure.SKIP):
            outcome = other.outcome.value if other.outcome else ""
            skip = Skipped(job=label, build=named, final=other.final, reason=f"{label} {outcome}")
            return Upstream(ready=False, finals=finals, skip=skip)
        finals[label] = other.final
    return Upstream(ready=True, finals=finals)


def why(build: Build, advert: Advert, agent: str, free: int | None = None) -> list[Decision]:
    """The reasons for and against this agent taking the build."""
    request = build.request
    if request is None:
        return [Decision(check="request", ok=False, found="no valid request")]
    return decide(request.definition, advert, agent=agent, on=request.on, free=free)


def fetchable(sources: Sources, configs: Configs, url: str, request: Request) -> None:
    """Makes the pinned revisions available and checks that the definition is the config's own.

    Raises:
        NotYet: a revision cannot be fetched yet. Refused, RemoteAway, BadConfig.
    """
    sources.fetch(url, request.config.commit, f"refs/heads/{request.config.branch}")
    config = configs.read(sources.files(url, request.config.commit, CONFIG_PATHS))
    pool = request.definition.place.pool
    wanted = job_digest(request.definition)
    for one in configs.resolve(config, request.job, request.parameters):
        if one.cell != request.cell:
            continue
        place = msgspec.structs.replace(one.job.place, pool=pool)
        if job_digest(msgspec.structs.replace(one.job, place=place)) == wanted:
            _same_sources(config, one.job, request)
            break
    else:
        raise Refused(f"job {request.job!r} in the request is not the one at commit {request.config.commit[:12]}")
    for source in request.sources:
        if source.commit != TIP:
            sources.fetch(source.url or url, source.commit, source.ref)
        elif not alias_of(request) or source.repo == "self":
            raise Refused(f"source {source.repo!r} is not pinned, and that is for aliases alone")
        elif source.ref.removeprefix("refs/heads/") not in sources.heads(source.url or url):
            raise NotYet(f"source {source.repo!r} has no branch {source.ref.removeprefix('refs/heads/')!r}")


def _same_sources(config: CitToml, job: Job, request: Request) -> None:
    """Checks that what is checked out, and where, is what the job names. Raises Refused."""
    named = named_sources(job)
    if len(named) != len(request.sources):
        raise Refused(f"the request has {len(request.sources)} sources, job {request.job!r} {len(named)}")
    for (repo, ref, at), pinned in zip(named, request.sources, strict=True):
        url = "" if repo == "self" else config.source[repo].url
        fits = (pinned.repo, pinned.at, pinned.url) == (repo, at, url)
        if not fits or (ref and pinned.ref != f"refs/heads/{ref}"):
            raise Refused(f"the request checks out something else than job {request.job!r} names at {at!r}")


def on_their_branches(sources: Sources, url: str, request: Request, pool: Pool | None) -> None:
    """Checks that what a narrowed pool builds, and the config of it, is on the branches that the request names.

    The policy judges the names; only a look at the repository shows whether they are true.

    Raises:
        NotYet: a commit is not on its branch: it was not pushed there yet, or the request lies. RemoteAway, Refused.
    """
    if not alias_of(request) and (pool is None or "*" in pool.branches):
        return
    pinned = [(request.config.branch, request.config.commit)]
    pinned += [(request.branch, one.commit) for one in request.sources[:1] if one.repo == "self"]
    for branch, commit in dict.fromkeys(pinned):
        sources.fetch(url, commit, f"refs/heads/{branch}")
        if not sources.on_branch(url, branch, commit):
            raise NotYet(f"commit {commit[:12]} is not on branch {branch!r}", hint="push it there; the build waits")


@dataclass(slots=True)
class Proven:
    """The requests whose revisions are here and whose definition was found to be the config's own."""

    digests: set[bytes] = field(default_factory=set)

    def holds(self, request: Request) -> bool:
        """Whether that was found out before, for this request or one that differs in nothing that matters."""
        return self._digest(request) in self.digests

    def prove(self, doors: Doors, url: str, request: Request) -> None:
        """Finds it out. Raises NotYet, Refused, RemoteAway, BadConfig."""
        fetchable(doors.sources, doors.configs, url, request)
        if len(self.digests) >= _PROVEN_KEPT:
            self.digests.clear()
        self.digests.add(self._digest(request))

    def _digest(self, request: Request) -> bytes:
        parts = (request.sources, request.config, request.job, request.cell, request.parameters, request.definition)
        return hashlib.sha256(msgspec.json.encode(parts)).digest()


def draft_claim(
    state: State, actor: Actor, repository: Repository, build: Build, *, boot: str, node: str,
    decisions: Sequence[Decision] = (), takeover: Observed | None = None, finals: dict[str, Oid] | None = None,
) -> tuple[Draft, Claimed]:  # fmt: skip
    """A claim to be pushed, and what it is if it gets through: somebody else may be faster."""
    body = Claim(
        attempt=build.claims + 1,
        boot=boot,
        node=node,
        attempt_key=actor.keys.make() if actor.keys else "",
        takeover=takeover,
        upstream=finals or {},
        why=tuple(decisions),
    )
    made = draft(state, actor, repository.snapshot, build, body, stored=False)
    return made, Claimed(build=build, claim=made.new, body=body)


def is_finished(state: State, repository: Repository, won: Claimed) -> bool:
    """Reads the archive anew: whether the build is in it; then the claim is dropped.

    Raises RemoteAway, NotYet: nobody can tell, so nothing may start; the next turn asks again.
    """
    tips = state.remote.fetch([state.refs.archive(won.build.pool, month_of(won.build.id))])
    tips = {ref: tip for ref, tip in tips.items() if is_archive(state, tip)}
    now = replace(repository.snapshot, tips={**repository.snapshot.tips, **tips})
    if not tips or not Repository(state, now).is_archived(won.build.pool, won.build.id):
        return False
    state.remote.push([Update(won.build.ref, won.claim, None)])
    return True


def candidates(
    repository: Repository, pools: Sequence[str], actor: str, first_seen: Mapping[str, float]
) -> list[Build]:
    """The waiting builds of the pools that have attempts left, and that the actor need not leave to another.

    `first_seen` are seconds on this client's monotonic clock, by build.
    """
    now = repository.state.clock.monotonic()
    policy = repository.snapshot.policies.tip
    found = []
    for pool in pools:
        for build in repository.active(pool):
            spent = build.request is None or build.valid_claims >= build.request.max_attempts
            waited = now - first_seen.get(build.id, now)
            if spent or not is_waiting(build) or is_left(build, actor, policy, waited):
                continue
            # who runs as somebody, or in somebody's account, is for the agents that may: others' claims are void
            alias, as_owner = alias_of(build.request), runs_as_owner(build.request)
            if not (alias or as_owner) or may_claim(policy.team, actor, pool, build.owner, alias, as_owner=as_owner):
                found.append(build)
    return found
