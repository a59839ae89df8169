"""`cit policy show|publish`: who may do what."""

from __future__ import annotations

import json
from pathlib import Path

import click
import msgspec

from citgit.flows.enqueue import Change
from citgit.flows.policies import fetch_policies, publish, seal_of
from citgit.programs.init import trust
from citgit.wiring.checkout import revision
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.configs import read_team

PATHS = ("team.toml", ".cit/team.toml", "agents/", "people/", "policy.toml")


@click.group("policy", epilog="Example: cit policy publish")
def command() -> None:
    """Who may do what."""


@command.command("show", epilog="Example: cit policy show --json")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def show(directory: str, as_json: bool) -> None:
    """Prints the policy in force."""
    chain = fetch_policies(open_clone(Path(directory)).state)
    tip = chain.tip
    document = {"version": 1, "policy": tip.version, "oid": tip.oid, "root": chain.repo, "by": tip.actor}
    if as_json:
        click.echo(json.dumps({**document, "team": msgspec.to_builtins(tip.team)}))
        return
    click.echo(f"policy {tip.version} ({tip.oid[:12]}), signed by {tip.actor}; root {chain.repo}")
    click.echo(json.dumps(msgspec.to_builtins(tip.team), indent=2))


@command.command("publish", epilog="Example: git commit -am 'Add agent lab1' && cit policy publish")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--why", "reason", default="", help="for the record")
def publish_(directory: str, reason: str) -> None:
    """Makes the protected branch's team.toml the next policy, sealed and signed."""
    clone = open_clone(Path(directory))
    chain = fetch_policies(clone.state)
    commit, _ = revision(clone.git_dir, chain.tip.team.protected)
    team = read_team(_files(clone, Change(url=str(clone.repository), branch=chain.tip.team.protected, commit=commit)))
    publish(clone.state, clone.actor(), team, before=chain, seal=seal_of(clone.state), reason=reason)
    after = fetch_policies(clone.state)
    trust(clone, after)
    click.echo(f"policy {after.tip.version} is in force ({after.tip.oid[:12]})")


def _files(clone: Clone, change: Change) -> dict[str, bytes]:
    clone.doors.sources.fetch(change.url, change.commit, f"refs/heads/{change.branch}")
    return clone.doors.sources.files(change.url, change.commit, PATHS)
