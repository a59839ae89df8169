"""`cit agent install`: a machine that one can log in at becomes an agent's node; again: an upgrade."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from citgit.errors import UsageError
from citgit.flows.policies import fetch_policies
from citgit.model.names import is_name
from citgit.model.team import Agent, Team
from citgit.programs import complete
from citgit.programs.wording import emit, plain
from citgit.wiring.checkout import commit_aside, config_files, revision
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.configs import with_agent
from citgit.wiring.install import SERVICE, Login, Node, by_name, chosen_wheels, host_text, look, refuse_unfit


@click.command(
    "install",
    short_help="make a machine with ssh a node of citgit",
    epilog="Example: cit agent install anna@lab1 --pool default --label gpu",
)
@click.argument("host", metavar="[USER@]HOST[:PORT]")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--name", "agent", default="", help="the agent's name; default: that of the host")
@click.option("--pool", "pools", multiple=True, shell_complete=complete.pools, help="default: the pool 'default'")
@click.option("--label", "labels", multiple=True, help="what jobs may require, beside what it has anyway")
@click.option("--slots", default=0, help="builds at once; default: 1")
@click.option(
    "--for", "person", default="", help="whose account it is: it builds there what they want built as themselves"
)
@click.option("--own/--no-own", default=None, help="trust all builds as one's own: no sandbox is required")
@click.option("--url", default="", help="how the node reaches the state; default: as this checkout does")
@click.option("--source", default="", help="how the node reaches the code, if that is elsewhere")
@click.option("--python", default="", help="the node's Python to use; default: the first that is new enough")
@click.option("--wheels", default="", help="a folder with downloaded wheels, for a node of another kind")
@click.option("--system", is_flag=True, help=f"for the whole machine, as the account {SERVICE!r}; needs root there")
@click.option("--look", "only_look", is_flag=True, help="only say what the machine offers, change nothing")
@click.option("--no-start", is_flag=True, help="install, but start no worker")
@click.option("--branch", default="", help="the branch to commit to (default add-AGENT); it must be new")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def install(
    host: str, directory: str, agent: str, pools: tuple[str, ...], labels: tuple[str, ...], slots: int,
    own: bool | None, person: str, url: str, source: str, python: str, wheels: str, system: bool, only_look: bool,
    no_start: bool, branch: str, as_json: bool,
) -> None:  # fmt: skip
    """Installs citgit on a machine by ssh, makes an agent's key there, proposes the agent to the team.

    Needs Python 3.11 and git there, but neither root nor a network: what is installed here is sent.
    Runs again as an upgrade; builds that run there go on. The key never leaves the machine.
    """
    tell = _teller(as_json)
    login = Login(host, may_ask=sys.stdin.isatty(), root=system)
    tell(f"looking at {host}")
    facts = look(login, python)
    if only_look:
        _offers(facts, as_json)
        return
    platform = refuse_unfit(facts, host)
    clone = open_clone(Path(directory))
    team = fetch_policies(clone.state).tip.team
    host = host_text(host)
    agent = agent or _named(team, host) or by_name(facts.host)
    if not is_name(agent):
        raise UsageError(f"not a name for an agent: {agent!r}", hint="choose one with --name")
    sent = chosen_wheels(platform, Path(wheels) if wheels else None, host)
    node = Node(login, facts, SERVICE if system else "")
    if system:
        node.make_service_user()
    done = node.install(sent, tell)
    tell(f"citgit {done['version']} is installed" + (f", {done['before']} was" if done.get("before") else ""))
    source = source or (clone.source if clone.source != clone.url else "")
    settings: dict[str, Any] = {
        "agent": agent, "url": _reachable(url or clone.url), "source": source, "refs": clone.state.refs.root,
        "root": clone.state.pinned or fetch_policies(clone.state).repo,
    }  # fmt: skip
    settings |= ({} if own is None else {"own": own}) | ({"slots": slots} if slots else {})
    tell(f"making the key of {agent}, and looking whether the node reaches the repository")
    made = node.setup(settings)
    tell("" if no_start else f"starting the worker of {agent}")
    state = {} if no_start else node.start(agent)
    wanted = _agent(
        team.agent.get(agent), made, host="" if system else host, pools=pools, labels=labels, slots=slots, person=person
    )
    change = _propose(clone, team, agent, wanted, branch or f"add-{agent}")
    document = {
        "agent": agent,
        "version": done["version"],
        "sent": done.get("sent", 0),
        "before": done.get("before", ""),
    }
    if as_json:
        emit(document | {"key": wanted.key, "reaches": made["reaches"], "state": state, **change})
        return
    _say(host, agent, facts.unmanaged, made, state, own=made["own"] or bool(facts.sandbox))
    _next(change)


def _teller(as_json: bool) -> Callable[[str], None]:
    """Says how far it is, to people."""
    return lambda text: click.echo(plain(text), err=True) if text and not as_json else None


def _offers(facts: Any, as_json: bool) -> None:
    document = msgspec.to_builtins(facts)
    if as_json:
        emit(document)
        return
    for key, value in document.items():
        if value:
            click.echo(f"{key:<10} {plain(value if isinstance(value, str) else str(value))}")


def _named(team: Team, host: str) -> str:
    """The agent that the policy has at this very address: then this is an upgrade of it."""
    found = [name for name, one in team.agent.items() if one.host == host]
    return found[0] if len(found) == 1 else ""


def _reachable(url: str) -> str:
    """The address for the node. Raises UsageError for what can only mean a place on this machine."""
    if url.startswith(("/", "file:")) and sys.stdin.isatty():
        click.echo(f"note: {url} must be a place on the node too; otherwise say how it gets there: --url", err=True)
    return url


def _agent(
    known: Agent | None, made: dict[str, Any], *, host: str, pools: tuple[str, ...], labels: tuple[str, ...],
    slots: int, person: str,
) -> Agent:  # fmt: skip
    """The agent as the team is to have it: what was asked for now, else what it had."""
    base = known or Agent(key=made["public"])
    return msgspec.structs.replace(
        base, key=made["public"], pools=pools or base.pools, labels=labels or base.labels,
        host=host or base.host, slots=slots or base.slots, age=made["age"] or base.age, person=person or base.person,
    )  # fmt: skip


def _propose(clone: Clone, team: Team, agent: str, wanted: Agent, branch: str) -> dict[str, Any]:
    """The change of team.toml as a commit on a branch; nothing if the team has the agent like that already."""
    base, _ = revision(clone.git_dir, f"refs/heads/{team.protected}")
    files = config_files(clone.top, base)
    path, content = with_agent(files, agent, wanted)
    if files.get(path) == content:
        known = team.agent.get(agent)
        published = known is not None and known.key.split()[:2] == wanted.key.split()[:2]
        return {"branch": "", "diff": "", "next": "" if published else "cit policy publish"}
    diff = commit_aside(
        clone.git_dir, branch, base, {path: content}, f"Add agent {agent}" if agent not in team.agent else
        f"Change agent {agent}", clone.person or "cit",
    )  # fmt: skip
    return {"branch": branch, "diff": diff, "next": f"git merge {branch} && cit policy publish"}


def _say(host: str, agent: str, unmanaged: str, made: dict[str, Any], state: dict[str, Any], *, own: bool) -> None:
    if state.get("supervisor"):
        by = "systemd" if state["systemd"] else f"a background process (pid {state['supervisor']})"
        click.echo(f"the worker of {agent} is kept running by {by}", err=True)
        if not state["systemd"] and unmanaged:
            click.echo(
                f"note: {unmanaged}, so nothing starts it after a restart of {host}; where there is cron: "
                f"@reboot $HOME/.local/share/citgit/current/bin/cit-node start {agent}", err=True,
            )  # fmt: skip
    if made["reaches"]:
        click.echo(f"note: the node does not reach the repository yet: {plain(made['reaches'])}", err=True)
    if not own:
        click.echo(
            "note: without bubblewrap it takes no builds of others; install that, or trust them: --own", err=True
        )


def _next(change: dict[str, Any]) -> None:
    for line in change["diff"].splitlines():
        click.echo(plain(line))
    if change["branch"]:
        click.echo(f"committed on branch {change['branch']}; the agent counts once that is published:", err=True)
    elif change["next"]:
        click.echo("team.toml has the agent already; it counts once that is published:", err=True)
    else:
        click.echo("the policy has the agent already: nothing is left to do", err=True)
    if change["next"]:
        click.echo(change["next"])
