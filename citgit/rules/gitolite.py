"""A policy as rules of gitolite: who may write which refs, before a hook looks at what is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from citgit.model.names import HERE
from citgit.model.policy import PolicyView
from citgit.model.team import Role
from citgit.rules.authority import has_role, may_claim, may_maintain


def gitolite_rules(policy: PolicyView, repository: str, root: str) -> str:
    """The stanza for one repository; rules for its branches go below, they are its owner's."""
    return "\n".join(_lines(policy, repository, root)) + "\n"


def _lines(policy: PolicyView, repository: str, root: str) -> Iterator[str]:
    team = policy.team
    people, agents = sorted(team.person), sorted(team.agent)
    admins = [name for name in people if has_role(team, f"person:{name}", Role.ADMIN)]
    yield f"# policy {policy.version} ({policy.oid[:12]}), as 'cit policy gitolite' prints it: anew after each policy"
    yield f"repo {repository}"
    yield _rule("RWC", f"{root}policy$", admins)
    yield _rule("RWCD", f"{root}builds/", [*people, *agents])
    for name in (*agents, *people):
        yield _rule("RWCD", f"{root}agents/{name}/", sorted({name, *admins}))
    for pool in sorted({*team.pool, HERE}):
        folders = [name for name in agents if may_claim(team, f"agent:{name}", pool, "")]
        folders += people if pool == HERE else [one for one in people if may_maintain(team, f"person:{one}", pool)]
        yield _rule("RWC", f"{root}archive/{pool}/", folders)
    yield _rule("RWC", f"{root}locks/", agents)
    yield _rule("RWC", f"{root}grants/", people)
    for name in people:
        yield _rule("RWCD", f"{root}replay/{name}/", sorted({name, *admins}))
    yield _rule("RWCD", f"{root}locks/", admins)
    yield _rule("RWCD", f"{root}grants/", admins)
    yield _rule("-", root, ["@all"])
    yield _rule("R", "", [*people, *agents])
    yield _rule("-", "VREF/cit-verify-push", ["@all"])


def _rule(permission: str, refs: str, users: Iterable[str]) -> str:
    return f"    {permission:<5}{refs:<40} = {' '.join(users)}" if any(users) else f"#   {permission} {refs}: nobody"
