"""Finds the build that a person means: a part of its id, JOB, JOB@BRANCH, a commit, or nothing for the latest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from citgit.errors import NotFound, NotYet
from citgit.flows.builds import Repository
from citgit.flows.control import outcome_text
from citgit.flows.history import LOOK, Search
from citgit.flows.private import is_hidden, reveal, reveal_granted
from citgit.model.build import Build
from citgit.model.names import HERE, is_build_id
from citgit.model.pattern import pattern
from citgit.records.folded import Folded
from citgit.wiring.checkout import commit_at
from citgit.wiring.clone import Clone

_PART = pattern(r"[0-9a-f-]{4,36}")
_COMMIT = pattern(r"[0-9a-f]{7,40}")

_MOST_OF_COMMIT = 500

NAMES = 200_000
"""Archived ids that are looked at for a part of one."""


def builds(repository: Repository) -> Iterator[Build]:
    """Every build once: the active ones, newest first, then the archived ones, newest first."""
    seen = set()
    for build in sorted(repository.active(), key=lambda one: one.id, reverse=True):
        seen.add(build.id)
        yield build
    for build in repository.archived():
        if build.id not in seen:
            yield build


def short(build: str) -> str:
    """The part of an id that people see: its end, since beginnings are times and look alike."""
    return build[-12:]


def is_mine(build: Build, clone: Clone) -> bool:
    """Whether the person whose clone this is asked for the build."""
    return bool(clone.person) and build.owner == f"person:{clone.person}"


def find_build(repository: Repository, clone: Clone, text: str) -> Build:
    """The build that `text` means in this clone, opened as far as its keys go. Raises NotFound, with candidates.

    Reads what is active, and of the archives as much as it takes from their newest end.
    """
    found = _find(repository, clone, text)
    if is_hidden(found) and not repository.snapshot.away:
        return reveal_granted(clone.state, repository.snapshot.policies, found)
    return reveal(clone.state, found)


def _find(repository: Repository, clone: Clone, text: str) -> Build:
    if is_build_id(text):
        return _whole(repository, text)
    active = sorted(repository.active(), key=lambda one: one.id, reverse=True)
    if not text:
        return _latest(repository, active, clone)
    parts = _parts(repository, active, text) if _PART.fullmatch(text) else []
    if len(parts) == 1:
        return parts[0]
    search = Search(repository)
    job, _, branch = text.partition("@")
    if found := _newest(
        search, active, lambda line: line.job == job and branch in ("", line.branch),
        lambda build: _is_job(build, job, branch),
    ):  # fmt: skip
        return found
    commit = _commit(clone, text)
    if commit and (found := _newest(
        Search(repository), active, lambda line: line.commit.startswith(commit),
        lambda build: _builds_commit(reveal(clone.state, build), commit),
    )):  # fmt: skip
        return found
    if parts:
        raise NotFound(f"{text!r} is a part of {len(parts)} ids", hint=_candidates(parts))
    what = f"commit {commit[:12]} was never asked to be built" if commit else f"no build {text!r}"
    if not search.whole:
        what += f" among the newest {LOOK} archived ones"
    known = list(itertools.islice(builds(repository), 5))
    raise NotFound(what, hint=_candidates(known) if known else "ask for one: cit run")


def of_commit(repository: Repository, clone: Clone, text: str) -> list[Build]:
    """The newest build of each job and cell of the commit that `text` names; empty if it names something else."""
    active = list(repository.active())
    if is_build_id(text) or any(text in build.id for build in active) or "@" in text:
        return []
    commit = _commit(clone, text)
    if not commit or any(build.request and build.request.job == text for build in active):
        return []
    return _newest_of_commit(repository, active, commit, lambda build: True)


def passes_of(repository: Repository, clone: Clone, text: str, jobs: Sequence[str]) -> list[Build]:
    """The builds of a commit that may vouch for it: the newest of each of these jobs and its cells.

    Built for a pool, so that an agent signed the result, by the config of the commit itself and with its own
    parameters: anybody may ask for a job of another branch's config, which does what it likes.
    """
    commit = _commit(clone, text)

    def counts(build: Build) -> bool:
        request = build.request
        return (
            request is not None and request.job in jobs and build.pool != HERE and not build.revoked
            and request.config.commit == request.sources[0].commit and request.sources[0].repo == "self"
            and all(
                request.parameters.get(name, one.default) == one.default
                for name, one in request.definition.parameters.items()
            )
        )  # fmt: skip

    return _newest_of_commit(repository, list(repository.active()), commit, counts) if commit else []


def _newest_of_commit(
    repository: Repository, active: list[Build], commit: str, counts: Callable[[Build], bool]
) -> list[Build]:
    found: dict[tuple[str, str], Build] = {}
    for build in newest_of(
        Search(repository), active, lambda line: line.commit.startswith(commit),
        lambda build: _builds_commit(build, commit) and counts(build), _MOST_OF_COMMIT,
    ):  # fmt: skip
        if build.request:
            found.setdefault((build.request.job, str(sorted(build.request.cell.items()))), build)
    return list(found.values())


def _whole(repository: Repository, build: str) -> Build:
    try:
        found = repository.find(build)
    except NotYet as error:
        raise NotFound(f"cannot read build {build!r} yet: {error.message}", hint="try again later") from error
    if found is None:
        raise NotFound(f"no build {build!r}", hint="'cit status --all' lists all")
    return found


def _latest(repository: Repository, active: list[Build], clone: Clone) -> Build:
    found = mine(repository, active, clone, 1) or list(itertools.islice(builds(repository), 1))
    if not found:
        raise NotFound("there is no build yet", hint="ask for one: cit run")
    return found[0]


def mine(repository: Repository, active: list[Build], clone: Clone, count: int) -> list[Build]:
    """Up to `count` builds that the person whose clone this is asked for, newest first."""
    me = f"person:{clone.person}"
    return newest_of(
        Search(repository), active, lambda line: line.owner == me, lambda build: is_mine(build, clone), count
    )


def newest(repository: Repository, clone: Clone, count: int, *, everybody: bool) -> list[Build]:
    """Up to `count` builds, newest first: those of the person whose clone this is, or everybody's."""
    if everybody:
        return list(itertools.islice(builds(repository), count))
    return mine(repository, list(repository.active()), clone, count)


def _parts(repository: Repository, active: list[Build], text: str) -> list[Build]:
    """The builds whose id `text` is a part of: active ones, and those of the newest hours that have any."""
    found = {build.id: build for build in active if text in build.id}
    hours = ""
    for pool, archive, build in itertools.islice(repository.archived_ids(), NAMES):
        if hours and build[:6] < hours:
            break
        if text in build and (read := repository.archived_build(pool, archive, build)):
            found.setdefault(build, read)
            # the first six digits of an id tell its time to four hours and a half
            hours = hours or build[:6]
    return list(found.values())


def _newest(
    search: Search, active: list[Build], line: Callable[[Folded], bool], check: Callable[[Build], bool]
) -> Build | None:
    found = newest_of(search, active, line, check, 1)
    return found[0] if found else None


def newest_of(
    search: Search, active: list[Build], line: Callable[[Folded], bool], check: Callable[[Build], bool], count: int
) -> list[Build]:
    """The newest of the active and the archived builds that match, up to `count`."""
    found = {build.id: build for build in search.newest(line, check, count)}
    found |= {build.id: build for build in active if check(build)}
    return [found[build] for build in sorted(found, reverse=True)[:count]]


def _is_job(build: Build, job: str, branch: str) -> bool:
    request = build.request
    return request is not None and request.job == job and branch in ("", request.branch)


def _builds_commit(build: Build, commit: str) -> bool:
    request = build.request
    return bool(request and request.commit.startswith(commit))


def _commit(clone: Clone, text: str) -> str:
    """The commit that `text` names: in the clone, else as it is, since builds outlive branches; "" if none."""
    found = "" if text.startswith("-") else commit_at(clone.git_dir, text)
    return found or (text if _COMMIT.fullmatch(text) else "")


def _candidates(found: list[Build]) -> str:
    """Some builds, newest first, as something to choose from."""
    chosen = sorted(found, key=lambda one: one.id, reverse=True)[:5]
    lines = [f"  {build.id}  {title(build)}  {outcome_text(build)}" for build in chosen]
    return "builds to choose from:\n" + "\n".join(lines)


def title(build: Build) -> str:
    """JOB@BRANCH, and the cell of its matrix."""
    if build.request is None:
        return "?"
    cell = "".join(f" {key}={value}" for key, value in sorted(build.request.cell.items()))
    return f"{build.request.job}@{build.request.branch}{cell}"
