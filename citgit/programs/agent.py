"""`cit agent`: who builds: the agents of the policy, what each of them offers; takes agents out of service."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from citgit.flows.policies import fetch_policies
from citgit.model.names import Kind
from citgit.model.names import name as checked_name
from citgit.programs import complete
from citgit.programs.reach import reach
from citgit.programs.why import offers
from citgit.programs.wording import builtins, emit, label, plain, span
from citgit.wiring.checkout import commit_aside, config_files, revision
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.configs import with_drain, without_agent


@click.group("agent", epilog="Example: cit agent list")
def command() -> None:
    """Lists agents; drains and removes them by a change of team.toml."""


@command.command("list", epilog="Example: cit agent list --json")
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
                "boots": sum(1 for one in boots if one and one.group == name),
                "advert": builtins(advert),
            })  # fmt: skip
            continue
        state = f"heard of {span(now - offer.heard)} ago" if offer else "never seen"
        state = "drained" if agent.drain else state
        host = f"{advert.host} {advert.os}/{advert.arch} {advert.cpu} cpu, citgit {advert.version}" if advert else ""
        pools = ",".join(agent.pools) or "-"
        click.echo(f"{name:<16} {state:<24} {pools:<16} {busy}/{agent.slots} busy  {plain(host)}".rstrip())
    if not team.agent and not as_json:
        click.echo("no agent is registered: 'cit worker --agent NAME' says what to add to team.toml", err=True)


@command.command("drain", epilog="Example: cit agent drain lab1")
@click.argument("agent", shell_complete=complete.agents)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--off", is_flag=True, help="let it take builds again")
@click.option("--branch", default="", help="the branch to commit to (default drain-AGENT); it must be new")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def drain(agent: str, directory: str, off: bool, branch: str, as_json: bool) -> None:
    """Proposes that an agent takes no new builds; those that it has go on.

    team.toml is changed on a branch of its own. It counts once that is merged and an admin has published it.
    """
    clone, base, files = _team(directory, agent)
    path, content = with_drain(files, agent, drain=not off)
    word = "Let {} build again" if off else "Let {} take no new builds"
    branch = branch or f"{'undrain' if off else 'drain'}-{agent}"
    _propose(clone, base, branch, {path: content}, word.format(agent), as_json)


@command.command("remove", epilog="Example: cit agent remove lab1")
@click.argument("agent", shell_complete=complete.agents)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--branch", default="", help="the branch to commit to (default remove-AGENT); it must be new")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def remove(agent: str, directory: str, branch: str, as_json: bool) -> None:
    """Proposes to take an agent out of the team: its key claims nothing from then on. Drain it first.

    team.toml is changed on a branch of its own. It counts once that is merged and an admin has published it.
    """
    clone, base, files = _team(directory, agent)
    holds = [build for build in reach(clone).active() if build.held and build.held.actor == f"agent:{agent}"]
    path, text = without_agent(files, agent)
    _propose(clone, base, branch or f"remove-{agent}", {path: text}, f"Remove agent {agent}", as_json)
    for build in holds:
        click.echo(f"note: it holds {label(build)}; what it pushes after the policy is in force is void", err=True)


def _team(directory: str, agent: str) -> tuple[Clone, str, dict[str, bytes]]:
    """The clone, the tip of the protected branch, the config there. Raises NotFound."""
    checked_name("agent", agent)
    clone = open_clone(Path(directory))
    protected = fetch_policies(clone.state).tip.team.protected
    base, _ = revision(clone.git_dir, f"refs/heads/{protected}")
    return clone, base, config_files(Path(directory), base)


def _propose(
    clone: Clone, base: str, branch: str, changes: Mapping[str, bytes | None], message: str, as_json: bool
) -> None:
    diff = commit_aside(clone.git_dir, branch, base, changes, message, clone.person or "cit")
    if as_json:
        emit({"branch": branch, "message": message, "diff": diff})
        return
    for line in diff.splitlines():
        click.echo(plain(line))
    click.echo(
        f"committed on branch {branch}; it counts once it is published: git merge {branch} && cit policy publish"
    )
