"""`cit policy publish|sign`: the protected branch's team.toml becomes the next policy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from citgit.errors import NotFound, Refused, UsageError
from citgit.flows.policies import fetch_policies
from citgit.flows.publishing import (
    Next,
    Submitted,
    chosen,
    countersign,
    proposals,
    refuse_stranger,
    seal_of,
    submit,
)
from citgit.flows.state import Actor
from citgit.model.policy import PolicyChain
from citgit.model.team import Team
from citgit.programs.policy_words import change_lines, listed_keys, view_changes
from citgit.programs.wording import answering, plain
from citgit.rules.authority import actor_of
from citgit.wiring.checkout import behind, config_files
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.configs import read_team


@click.command(
    "publish",
    short_help="make team.toml the next policy",
    epilog="Example: git commit -am 'Add agent lab1' && cit policy publish",
)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--why", "reason", default="", help="for the record")
@click.option("--dry-run", is_flag=True, help="only say what would change")
@click.option("--yes", is_flag=True, help="also if you would be no admin afterwards")
@click.option("--seal", "reseal", is_flag=True, help="also if nothing changed: a new seal over all that happened")
@answering
def publish(directory: str, reason: str, dry_run: bool, yes: bool, reseal: bool) -> dict[str, Any]:
    """Makes the protected branch's team.toml the next policy, sealed and signed."""
    clone = open_clone(Path(directory))
    chain = fetch_policies(clone.state)
    team = proposed_team(clone, directory, chain)
    lines = change_lines(chain.tip.team, team)
    for line in (*lines, *(f"note: {one}" for one in listed_keys(chain.tip, team))):
        click.echo(line)
    if not lines and not chain.tip.hold and not reseal:
        click.echo(f"policy {chain.tip.version} says the same already")
        return outcome(Submitted(oid=chain.tip.oid))
    if dry_run:
        return {"changes": lines}
    actor = clone.actor()
    if not yes and actor_of(team, actor.signer.public_key) != actor.name:
        raise UsageError(
            f"this team.toml would take your own key out ({actor.name})",
            hint="add it to your keys in team.toml, or insist with --yes",
        )
    return outcome(put(clone, chain, actor, Next(team=team, seal=seal_of(clone.state), reason=reason)))


@click.command("sign", short_help="sign what another admin proposed", epilog="Example: cit policy sign")
@click.argument("proposal", default="")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--yes", is_flag=True, help="do not ask")
@answering
def sign(proposal: str, directory: str, yes: bool) -> dict[str, Any]:
    """Signs what another admin proposed; with the last signature needed it is in force."""
    clone = open_clone(Path(directory))
    chain = fetch_policies(clone.state)
    actor = clone.actor()
    refuse_stranger(chain, actor)
    seal_of(clone.state)  # fetches what the proposal may have sealed
    one = chosen(proposals(clone.state, clone.branches, chain), proposal)
    why = plain(one.view.reason or "no reason given")
    click.echo(f"policy {one.view.version}, proposed by {', '.join(one.admins)}: {why}")
    for line in view_changes(chain.tip, one.view) or ["nothing changed but the seal"]:
        click.echo(line)
    if actor.name in one.admins and len(one.admins) < chain.tip.team.limits.admins:
        raise Refused("you have signed this already", hint="another admin runs 'cit policy sign'")
    if not yes and sys.stdin.isatty() and not click.confirm("sign it?", err=True):
        raise click.Abort
    done = countersign(clone.state, clone.branches, actor, chain, one)
    told(clone, done)
    return outcome(done)


def proposed_team(clone: Clone, directory: str, chain: PolicyChain) -> Team:
    """The team on the protected branch of this clone. Raises BadConfig, NotFound, UsageError."""
    branch = chain.tip.team.protected
    if late := behind(clone.git_dir, branch):
        raise UsageError(
            f"branch {branch!r} lacks {late} commits of its upstream: its team.toml may be an old one",
            hint=f"bring it up to date: git switch {branch} && git pull",
        )
    try:
        return read_team(config_files(Path(directory), f"refs/heads/{branch}"))
    except NotFound as error:
        raise NotFound(f"branch {branch!r}: {error.message}", hint=error.hint) from error


def put(clone: Clone, chain: PolicyChain, actor: Actor, wanted: Next) -> Submitted:
    """Publishes or proposes the next policy, and says which it was."""
    refuse_stranger(chain, actor)
    done = submit(clone.state, clone.branches, actor, chain, wanted)
    told(clone, done)
    return done


def outcome(done: Submitted) -> dict[str, Any]:
    """What became of a policy, for programs: in force, or a branch that waits for so many more signatures."""
    return {"policy": done.oid, "in_force": not done.missing, "missing": done.missing, "branch": done.branch}


def told(clone: Clone, done: Submitted) -> None:
    """Says what became of a policy."""
    if done.missing:
        click.echo(f"proposed as branch {done.branch}: {done.missing} more must sign it with 'cit policy sign'")
        return
    after = fetch_policies(clone.state)
    click.echo(f"policy {after.tip.version} is in force ({after.tip.oid[:12]})")
