"""Whether a build may get a secret of the node: by what its request says; whether that is true is looked at too."""

from __future__ import annotations

from collections.abc import Iterator

from citgit.model.globs import matches, matches_branch
from citgit.model.record import Request
from citgit.model.request import TIP
from citgit.model.secret import Secret, Secrets
from citgit.rules.authority import alias_of

_HEADS = "refs/heads/"


def meant(table: Secrets, name: str, url: str, job: str) -> Secret | None:
    """The entry for that variable of a job of the repository."""
    for one in table.secret:
        if one.name == name and one.repository == url and matches(one.jobs, job):
            return one
    return None


def refusal(secret: Secret, request: Request, protected: str) -> str:
    """Why the build may not get it; "" if it may. Whatever could steer the command counts."""
    branches = secret.branches or ((protected,) if protected else ())
    job = request.definition
    if request.config.repo != "self" or not matches_branch(branches, request.config.branch):
        return f"the job's config is from branch {request.config.branch!r}"
    if not matches_branch(branches, request.branch):
        return f"it is a build of branch {request.branch!r}"
    named = (job.source.ref, *(one.ref for one in job.source.also))
    for source, ref in zip(request.sources, named, strict=False):
        if not source.ref.startswith(_HEADS):
            return f"source {source.repo!r} is not on a branch"
        if source.repo != "self" and not ref:
            return f"source {source.repo!r} may be at any revision: the job names no ref"
        if source.repo == "self" and not matches_branch(branches, source.ref.removeprefix(_HEADS)):
            return f"source {source.repo!r} is of branch {source.ref.removeprefix(_HEADS)!r}"
    if (alias := alias_of(request)) and alias not in secret.aliases:
        return f"it runs as alias {alias!r}"
    for name, value in request.parameters.items():
        known = job.parameters.get(name)
        if name not in secret.parameters and (known is None or value != known.default):
            return f"parameter {name!r} is not at its default"
    if not secret.upstream and any(after.artifacts for after in job.after.values()):
        return "files of other builds come into its workspace"
    return ""


def places(request: Request, url: str) -> Iterator[tuple[str, str, str]]:
    """(url, branch, commit): where the config and each source say that they are."""
    yield url, request.config.branch, request.config.commit
    for one in request.sources:
        if one.commit != TIP:
            yield one.url or url, one.ref.removeprefix(_HEADS), one.commit


def is_whole(request: Request) -> bool:
    """Whether each source has its place in the job."""
    return len(request.sources) == 1 + len(request.definition.source.also)
