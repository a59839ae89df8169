"""From a change to requests: which jobs, at which revisions, in which order; one build however many doors notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from citgit.errors import NotFound, Refused, TryAgain, UsageError
from citgit.flows.builds import Repository, is_no_build
from citgit.flows.private import conceal_request, need_open, opened_request, reveal
from citgit.flows.state import Actor, Snapshot, State
from citgit.flows.writing import Draft, complain, draft, follow, push
from citgit.interfaces import Answer, Configs, Oid, Sources, Update
from citgit.model.build import Build
from citgit.model.job import CitToml, Job, OnNewer, Value
from citgit.model.names import HERE
from citgit.model.record import Cause, CauseKind, Config, Outcome, PinnedSource, Promise, Request, Supersede
from citgit.model.request import TIP
from citgit.rules.expand import Cell, ordered, promises
from citgit.rules.ids import promise_id, trigger_digest, trigger_id
from citgit.rules.requests import named_sources

CONFIG_PATHS = ("cit.toml", ".cit/cit.toml", "jobs/", ".cit/jobs/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be built: a commit on a branch of the repository at `url` ("self" in records).

    `config` is where the jobs come from, if from another commit and branch of that repository.
    """

    url: str
    branch: str
    commit: Oid
    old: Oid | None = None
    config: Config | None = None

    @property
    def jobs(self) -> Config:
        """The branch and commit that the jobs come from."""
        return self.config or Config(branch=self.branch, commit=self.commit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person may add to a request."""

    jobs: Sequence[str] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    pool: str = ""
    on: str = ""
    priority: int = 0
    message: str = ""
    retry_of: str = ""
    readers: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request: `new` is False if another door was first; `kept` if the host was away, so that it waits here."""

    build: str
    pool: str
    job: str
    new: bool
    kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What enqueueing needs besides the state repository."""

    sources: Sources
    configs: Configs


def load(doors: Doors, change: Change) -> CitToml:
    """The jobs of the changed revision, or of the branch that they come from. Raises BadConfig, NotFound, NotYet."""
    doors.sources.fetch(change.url, change.jobs.commit, f"refs/heads/{change.jobs.branch}")
    return doors.configs.read(doors.sources.files(change.url, change.jobs.commit, CONFIG_PATHS))


def enqueue_push(
    state: State,
    actor: Actor,
    repository: Repository,
    doors: Doors,
    change: Change,
    *,
    principal: str,
    pushed_by: str = "",
) -> list[Asked]:
    """Requests what a push starts, in the name of the trigger. Any number of doors may call it, in any order.

    Raises:
        BadConfig: the revision's config has faults. RemoteAway, Refused, NotYet.
    """
    time = doors.sources.fetch(change.url, change.commit, f"refs/heads/{change.branch}").time
    try:
        config = load(doors, change)
    except NotFound:
        return []
    changed = doors.sources.changed(change.url, change.old, change.commit) if change.old else None
    selected = doors.configs.selected(config, change.branch, changed)
    asked = []
    for component in components(config, selected):
        cells, upstream = _cells(doors, config, component, change, Wish(), repository.snapshot)
        cause = Cause(kind=CauseKind.TRIGGER, principal=f"trigger:{principal}", time=time, pushed_by=pushed_by)
        asked.append(_trigger(state, actor, repository, cells, upstream, cause))
    return asked


def enqueue_person(
    state: State, actor: Actor, snapshot: Snapshot, doors: Doors, change: Change, wish: Wish
) -> list[Draft]:
    """A person's requests, signed but not pushed: one pipeline for all the wished jobs."""
    wanted = planned(state, snapshot, doors, change, wish)
    return [first(state, actor, snapshot, request, pool, build) for request, pool, build in wanted]


def planned(
    state: State, snapshot: Snapshot, doors: Doors, change: Change, wish: Wish
) -> list[tuple[Request, str, str]]:
    """What a person's wish comes to: request, pool and id of the first build of each pipeline."""
    doors.sources.fetch(change.url, change.commit, f"refs/heads/{change.branch}")
    config = load(doors, change)
    wanted = []
    names = list(wish.jobs) or buildable(config)
    for component in components(config, names):
        cells, upstream = _cells(doors, config, component, change, wish, snapshot)
        build = state.entropy.build_id()
        root = msgspec.structs.replace(
            cells[0].request,
            promises=promises(build, cells, upstream),
            cause=Cause(kind=CauseKind.PERSON, message=wish.message),
        )
        pool = wish.pool or cells[0].job.place.pool
        wanted.append((root, pool, build))
    return wanted


def enqueue_again(state: State, actor: Actor, snapshot: Snapshot, old: Build) -> Draft:
    """A person's request for the same as an earlier build, and for what it promised, signed but not pushed.

    It stands after the same upstream builds. Raises NotFound if the old build never had a valid request; Refused.
    """
    if old.request is None:
        raise NotFound(f"build {old.id} has no valid request")
    old = need_open(reveal(state, old))
    assert old.request is not None
    build = state.entropy.build_id()
    renamed = {old.id: build}
    promised = []
    for index, promise in enumerate(old.request.promises):
        request = opened_request(state, old.id, promise.request)
        renamed[promise.id] = promise_id(build, index)
        cause = msgspec.structs.replace(request.cause, build=build, index=index)
        upstream = {label: renamed.get(one, one) for label, one in request.upstream.items()}
        request = msgspec.structs.replace(_unplaced(request), cause=cause, upstream=upstream, retry_of=promise.id)
        promised.append(Promise(id=renamed[promise.id], pool=promise.pool, request=request))
    root = msgspec.structs.replace(_unplaced(old.request), cause=Cause(), retry_of=old.id, promises=tuple(promised))
    return first(state, actor, snapshot, root, old.pool, build)


def _unplaced(request: Request) -> Request:
    """Without what the nodes said at that time."""
    return msgspec.structs.replace(request, prefer="", probed=())


def first(state: State, actor: Actor, snapshot: Snapshot, request: Request, pool: str, build: str) -> Draft:
    """A build's request, signed, hidden from all but its readers if its job is private.

    Raises:
        Refused: the policy does not let the actor ask for it. Unsupported: it is private, and age is not installed.
    """
    request = conceal_request(state, snapshot.policies.tip, actor.name, request, pool)
    made = follow(state, actor, snapshot, request, ref=state.refs.build(pool, build), build=build, parent=None)
    judged = Repository(state, snapshot).build(made.ref, made.new)
    if void := judged.entries[0].void:
        raise Refused(
            f"cannot ask for {request.job!r} in pool {pool!r} as {actor.name}: {void}",
            hint="'cit policy show' says who may",
        )
    return made


def buildable(config: CitToml) -> list[str]:
    """The jobs that have a command, their own or an inherited one. Raises UsageError if there is none."""

    def has_command(name: str) -> bool:
        job = config.job[name]
        return bool(job.command) or (job.extends in config.job and has_command(job.extends))

    names = [name for name in config.job if has_command(name)]
    if not names:
        raise UsageError("cit.toml defines no job that can be built", hint="add one: cit job new NAME -- COMMAND")
    return names


def create_promised(state: State, actor: Actor, repository: Repository, promised: Sequence[Promise]) -> list[str]:
    """Creates the refs of promised builds that do not exist yet: anyone may. Returns the new ids."""
    missing = [promise for promise in promised if not repository.exists(promise.id)]
    _clear(state, repository, [state.refs.build(promise.pool, promise.id) for promise in missing])
    drafts = [
        follow(
            state,
            actor,
            repository.snapshot,
            promise.request,
            ref=state.refs.build(promise.pool, promise.id),
            build=promise.id,
            parent=None,
        )
        for promise in missing
    ]
    answers = push(state, actor, drafts) if drafts else []
    return [promise.id for promise, answer in zip(missing, answers, strict=True) if answer.answer is Answer.DONE]


def supersede_older(state: State, actor: Actor, repository: Repository, newer: Build | None) -> list[str]:
    """Supersedes the active builds of the same pool, job, branch and cell with a smaller id; their ids."""
    request = newer.request if newer else None
    if newer is None or request is None or request.definition.trigger.on_newer is not OnNewer.SUPERSEDE:
        return []
    older = [
        build
        for build in repository.active(newer.pool)
        if build.id < newer.id and not build.is_final and not build.broken and not build.stopping
        and build.principal == newer.principal and build.request
        and (build.request.job, build.request.branch, build.request.cell) == (request.job, request.branch, request.cell)
    ]  # fmt: skip
    drafts = [draft(state, actor, repository.snapshot, build, Supersede(successor=newer.id)) for build in older]
    answers = push(state, actor, drafts) if drafts else []
    return [build.id for build, answer in zip(older, answers, strict=True) if answer.answer is Answer.DONE]


def components(config: CitToml, wanted: Sequence[str]) -> list[list[str]]:
    """The wanted jobs with their upstream ones, upstream first; jobs that come after each other stay together."""

    def upstream(name: str) -> list[str]:
        return list(config.job[name].after) if name in config.job else []

    groups: list[set[str]] = []
    for name in wanted:
        group = set(ordered([name], upstream))
        for other in [one for one in groups if one & group]:
            groups.remove(other)
            group |= other
        groups.append(group)
    order = ordered(wanted, upstream)
    return [[name for name in order if name in group] for group in groups]


def _cells(
    doors: Doors, config: CitToml, names: Sequence[str], change: Change, wish: Wish, snapshot: Snapshot
) -> tuple[list[Cell], dict[str, Sequence[str]]]:
    cells: list[Cell] = []
    labels: dict[str, list[str]] = {}
    upstream: dict[str, Sequence[str]] = {}
    most = snapshot.policies.tip.team.limits.attempts
    for name in names:
        known = config.job.get(name)
        given = {key: value for key, value in wish.parameters.items() if known and key in known.parameters}
        given = dict(wish.parameters) if name in wish.jobs else given
        for one in doors.configs.resolve(config, name, given):
            label = name + "".join(f" {key}={value}" for key, value in sorted(one.cell.items()))
            labels.setdefault(name, []).append(label)
            upstream[label] = [found for after in one.job.after for found in labels.get(after, [])]
            job = _placed(one.job, wish.pool)
            request = Request(
                job=name, branch=change.branch, config=change.jobs,
                definition=job, sources=_pin(doors.sources, config, job, change), cause=Cause(),
                max_attempts=max(1, min(job.limits.attempts, most)), cell=one.cell, parameters=dict(one.parameters),
                on=wish.on, priority=wish.priority, retry_of=wish.retry_of, readers=tuple(wish.readers),
            )  # fmt: skip
            cells.append(Cell(label, job, request))
    return cells, upstream


def _placed(job: Job, pool: str) -> Job:
    if not pool or pool == job.place.pool:
        return job
    place = msgspec.structs.replace(job.place, pool=pool)
    return msgspec.structs.replace(job, place=place)


def _pin(sources: Sources, config: CitToml, job: Job, change: Change) -> tuple[PinnedSource, ...]:
    pinned = []
    for repo, ref, at in named_sources(job):
        if repo == "self" and not ref:
            pinned.append(PinnedSource(ref=f"refs/heads/{change.branch}", commit=change.commit, at=at))
            continue
        url = change.url if repo == "self" else config.source[repo].url
        try:
            heads = sources.heads(url)
        except Refused:
            if not job.place.as_.startswith("alias:") or repo == "self":
                raise
            # whoever asks may not see the code: the node that serves the alias takes what it finds there
            pinned.append(PinnedSource(repo=repo, url=url, ref=f"refs/heads/{ref or 'main'}", commit=TIP, at=at))
            continue
        branch = ref or next((name for name in ("main", "master") if name in heads), "")
        if branch not in heads:
            raise NotFound(f"source {repo!r} has no branch {branch or 'main'!r}", hint="set source.ref in the job")
        pinned.append(
            PinnedSource(
                repo=repo,
                url="" if repo == "self" else url,
                ref=f"refs/heads/{branch}",
                commit=heads[branch],
                at=at,
            )
        )
    return tuple(pinned)


def _trigger(
    state: State,
    actor: Actor,
    repository: Repository,
    cells: list[Cell],
    upstream: dict[str, Sequence[str]],
    cause: Cause,
) -> Asked:
    first, pool = cells[0], cells[0].job.place.pool
    for generation in range(1000):
        plain = msgspec.structs.replace(cause, generation=generation)
        request = msgspec.structs.replace(first.request, cause=plain)
        # the promised ids derive from the root's id, so the digest counts what is promised, not the ids
        rough = msgspec.structs.replace(
            request, promises=promises("0" * 8 + "-0000-8000-8000-" + "0" * 12, cells, upstream)
        )
        digest = trigger_digest(repository.snapshot.policies.repo, cause.principal, pool, rough)
        build = trigger_id(cause.time, digest)
        known = repository.find(build)
        if known is not None and not is_no_build(known):
            if known.is_final and known.outcome not in (Outcome.PASSED, Outcome.FAILED):
                continue
            return Asked(build=build, pool=pool, job=first.request.job, new=False)
        request = msgspec.structs.replace(
            request, cause=msgspec.structs.replace(plain, digest=digest), promises=promises(build, cells, upstream)
        )
        ref = state.refs.build(pool, build)
        _clear(state, repository, [ref])
        made = follow(state, actor, repository.snapshot, request, ref=ref, build=build, parent=None)
        pushed = push(state, actor, [made])[0]
        if pushed.answer is Answer.DENIED:
            complain(pushed)
        return Asked(
            build=build, pool=pool, job=first.request.job, new=pushed.answer is Answer.DONE,
            kept=pushed.answer is Answer.UNKNOWN,
        )  # fmt: skip
    raise TryAgain(f"job {first.request.job!r} was asked for a thousand times at this revision")


def _clear(state: State, repository: Repository, refs: Sequence[str]) -> None:
    """Takes away what squats on ids that are about to be used: a ref whose root is void is no build."""
    tips = repository.snapshot.tips
    squats = [ref for ref in refs if ref in tips and is_no_build(repository.build(ref, tips[ref]))]
    if squats:
        state.remote.push([Update(ref, tips[ref], None) for ref in squats])


def need_pool(snapshot: Snapshot, pool: str) -> None:
    """Raises NotFound if the policy in force has no such pool."""
    pools = snapshot.policies.tip.team.pool
    if pool != HERE and pool not in pools:
        raise NotFound(f"no pool {pool!r} in the policy", hint=f"known pools: {', '.join(sorted(pools)) or 'none'}")
