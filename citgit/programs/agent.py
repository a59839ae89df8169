"""`cit agent`: who builds: the agents of the policy, and what each of them offers."""

from __future__ import annotations

from pathlib import Path

import click

from citgit.model.names import Kind
from citgit.programs.agent_install import install
from citgit.programs.agent_keys import keys
from citgit.programs.agent_leave import drain, remove
from citgit.programs.agent_probe import probe_job
from citgit.programs.reach import reach
from citgit.programs.why import offers
from citgit.programs.wording import builtins, emit, plain, span
from citgit.wiring.clone import open_clone


@click.group("agent", epilog="Example: cit agent list")
def command() -> None:
    """Installs agents, lists, probes, drains and removes them; says which keys may read on a node."""


for verb in (install, probe_job, drain, remove, keys):
    command.add_command(verb)


@command.command(
    "list", short_help="list agents: pools, what they hold, when last heard of", epilog="Example: cit agent list --json"
)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per agent")
def list_agents(directory: str, as_json: bool) -> None:
    """Lists the agents of the policy: their pools, what they hold, what they last offered."""
    clone = open_clone(Path(directory))
    repository = reach(clone)
    team = repository.snapshot.policies.tip.team
    found = offers(clone, repository)
    now = clone.state.clock.now()
    holding = [build.held.actor for build in repository.active() if build.held and not build.is_final]
    boots = [clone.state.refs.parse(ref) for ref in repository.snapshot.of(clone.state.refs, Kind.AGENT)]
    for name, agent in sorted(team.agent.items()):
        offer = found.get(name)
        advert = offer.advert if offer else None
        busy = holding.count(f"agent:{name}")
        if as_json:
            emit({
                "agent": name, "pools": agent.pools, "labels": agent.labels, "drain": agent.drain, "slots": agent.slots,
                "holds": busy, "free": offer.free if offer else None, "heard": offer.heard if offer else None,
                "short": offer.short if offer else "", "host": agent.host,
                "boots": sum(1 for one in boots if one and one.group == name),
                "advert": builtins(advert),
            })  # fmt: skip
            continue
        state = f"heard of {span(now - offer.heard)} ago" if offer else "never seen"
        state = "drained by the policy" if agent.drain else plain(offer.short)[:60] if offer and offer.short else state
        host = f"{advert.host} {advert.os}/{advert.arch} {advert.cpu} cpu, citgit {advert.version}" if advert else ""
        pools = ",".join(agent.pools) or "-"
        click.echo(f"{name:<16} {state:<24} {pools:<16} {busy}/{agent.slots} busy  {plain(host)}".rstrip())
    if not team.agent and not as_json:
        click.echo("no agent is registered: 'cit worker --agent NAME' says what to add to team.toml", err=True)
