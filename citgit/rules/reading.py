"""Who may read what a build left on its node: logs, artifacts, its workspace (docs/reading.md)."""

from __future__ import annotations

from collections.abc import Iterable

from citgit.model.build import Build
from citgit.model.globs import matches
from citgit.model.policy import PolicyView
from citgit.model.record import Request
from citgit.model.team import Role
from citgit.rules.authority import alias_of, fallen, has_role, may_maintain
from citgit.rules.private import is_private, readers


def denied(policy: PolicyView, reader: str, build: Build, request: Request, granted: Iterable[str] = ()) -> str:
    """Why the policy does not let a person read what a build left; "" if it does. `request` is the build's, opened.

    Its owner and the pool's maintainers may, and who has the role `read`; of a private build only its readers.
    """
    if gone := fallen(policy, reader):
        return gone
    if is_private(request):
        allowed = reader in readers(policy, request, pool=build.pool, owner=build.owner, granted=granted)
        return "" if allowed else f"{reader} is not one of the readers of this private build"
    team = policy.team
    if has_role(team, reader, Role.READ) or reader == build.owner or may_maintain(team, reader, build.pool):
        return ""
    return f"{reader} does not have the role 'read' under policy {policy.version}"


def denied_clean(policy: PolicyView, actor: str, build: Build) -> str:
    """Why a person may not remove the workspace that a build left; "" for its owner and the pool's maintainers."""
    if gone := fallen(policy, actor):
        return gone
    if actor == build.owner or may_maintain(policy.team, actor, build.pool):
        return ""
    return f"{actor} neither asked for the build nor maintains its pool"


def denied_node(policy: PolicyView, reader: str) -> str:
    """Why a person may not be told how a node is used; "" if they may."""
    if gone := fallen(policy, reader):
        return gone
    roles = (Role.READ, Role.MAINTAIN, Role.REQUEST)
    return "" if any(has_role(policy.team, reader, one) for one in roles) else f"{reader} has no role here"


def needs_code(policy: PolicyView, reader: str, build: Build, request: Request, artifact: str = "") -> bool:
    """Whether the reader must be allowed to check out the code: all must, but for whoever had an alias build it.

    They get the output, and of the artifacts those that the alias lets out; `artifact` is one's path.
    """
    alias = policy.team.alias.get(alias_of(request))
    if alias is None or reader != build.owner:
        return True
    return bool(artifact) and not matches(alias.artifacts, artifact)
