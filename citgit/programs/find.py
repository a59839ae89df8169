"""Finds the build that a person means: a part of its id, JOB, JOB@BRANCH, a commit, or nothing for the latest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from citgit.errors import NotFound, NotYet
from citgit.flows.builds import Repository
from citgit.flows.control import outcome_text
from citgit.model.build import Build
from citgit.model.names import is_build_id
from citgit.wiring.checkout import commit_at
from citgit.wiring.clone import Clone

_PART = re.compile(r"[0-9a-f-]{4,36}")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


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
    """The build that `text` means in this clone. Raises NotFound, with candidates in its hint."""
    if is_build_id(text):
        return _whole(repository, text)
    known = list(builds(repository))
    if not text:
        return _latest(known, clone)
    parts = [build for build in known if text in build.id] if _PART.fullmatch(text) else []
    if len(parts) == 1:
        return parts[0]
    job, _, branch = text.partition("@")
    if found := _where(known, lambda one: _is_job(one, job, branch)):
        return _newest(found)
    commit = _commit(clone, text)
    if commit and (found := _where(known, lambda one: _builds_commit(one, commit))):
        return _newest(found)
    if parts:
        raise NotFound(f"{text!r} is a part of {len(parts)} ids", hint=_candidates(parts))
    what = f"commit {commit[:12]} was never asked to be built" if commit else f"no build {text!r}"
    raise NotFound(what, hint=_candidates(known) if known else "ask for one: cit run")


def _whole(repository: Repository, build: str) -> Build:
    try:
        found = repository.find(build)
    except NotYet as error:
        raise NotFound(f"cannot read build {build!r} yet: {error.message}", hint="try again later") from error
    if found is None:
        raise NotFound(f"no build {build!r}", hint="'cit status --all' lists all")
    return found


def _latest(known: list[Build], clone: Clone) -> Build:
    if not known:
        raise NotFound("there is no build yet", hint="ask for one: cit run")
    return _newest([build for build in known if is_mine(build, clone)] or known)


def _where(known: Iterable[Build], check: Callable[[Build], bool]) -> list[Build]:
    return [build for build in known if check(build)]


def _newest(found: list[Build]) -> Build:
    return max(found, key=lambda one: one.id)


def _is_job(build: Build, job: str, branch: str) -> bool:
    request = build.request
    return request is not None and request.job == job and branch in ("", request.branch)


def _builds_commit(build: Build, commit: str) -> bool:
    request = build.request
    return bool(request and request.sources and request.sources[0].commit.startswith(commit))


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
