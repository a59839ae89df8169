"""`cit policy …`: who may do what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from citgit.errors import NotFound
from citgit.flows.joining import joiners
from citgit.flows.policies import fetch_policies
from citgit.flows.publishing import proposals
from citgit.model.policy import PolicyChain, PolicyView
from citgit.programs.policy_gitolite import gitolite
from citgit.programs.policy_keys import recover, revoke
from citgit.programs.policy_people import accept, invite, join
from citgit.programs.policy_publish import publish, sign
from citgit.programs.policy_words import policy_lines, view_changes
from citgit.wiring.clone import Clone, open_clone


@click.group("policy", epilog="Example: cit policy publish")
def command() -> None:
    """Who may do what: shown, published, signed; people let in, keys revoked."""


@command.command(
    "show", short_help="print the policy in force, or an earlier one", epilog="Example: cit policy show --at 3 --diff"
)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--at", "revision", default="", help="an earlier policy: its version, or the start of its oid")
@click.option("--diff", is_flag=True, help="only what it changed against the one before it")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def show(directory: str, revision: str, diff: bool, as_json: bool) -> None:
    """Prints the policy in force, or an earlier one."""
    clone = open_clone(Path(directory))
    chain = fetch_policies(clone.state)
    view = find_policy(chain, revision)
    before = chain.policies[view.version - 2] if view.version > 1 else None
    if as_json:
        document = {
            "version": 1, "policy": view.version, "oid": view.oid, "root": chain.repo, "by": view.actor,
            "cosigners": list(view.cosigners), "time": view.time, "reason": view.reason, "hold": view.hold,
            "generation": view.generation, "revoked": dict(view.revoked),
        }  # fmt: skip
        content = {"changes": view_changes(before, view)} if diff else {"team": msgspec.to_builtins(view.team)}
        click.echo(json.dumps(document | content))
        return
    lines = view_changes(before, view) if diff else list(policy_lines(chain, view, clone.state.clock.now()))
    for line in lines or ["nothing changed but the seal"]:
        click.echo(line)
    if not revision:
        for line in _waiting(clone, chain):
            click.echo(line, err=True)


def _waiting(clone: Clone, chain: PolicyChain) -> Iterator[str]:
    """What an admin could do next: proposals to sign, people to let in."""
    for one in proposals(clone.state, clone.branches, chain):
        missing = chain.tip.team.limits.admins - len(one.admins)
        yield f"waits: policy {one.view.version} by {', '.join(one.admins)}, for {missing} more: cit policy sign"
    for who in joiners(clone.state, clone.branches, chain):
        if who.key and not who.fault:
            yield f"waits: {who.name} asks to join: cit policy accept {who.name}"


def find_policy(chain: PolicyChain, revision: str) -> PolicyView:
    """The policy with that version or beginning of an oid; the one in force for "". Raises NotFound."""
    if not revision:
        return chain.tip
    part = len(revision) > 3
    fitting = [one for one in chain.policies if revision == str(one.version) or (part and one.oid.startswith(revision))]
    if len(fitting) == 1:
        return fitting[0]
    raise NotFound(f"no policy {revision!r}", hint=f"there are versions 1 to {chain.tip.version}")


for _verb in (publish, sign, revoke, recover, invite, join, accept, gitolite):
    command.add_command(_verb)
