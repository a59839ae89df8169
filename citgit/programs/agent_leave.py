"""`cit agent drain|remove`: an agent takes no new builds, or leaves the team: told to its node, or proposed."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from citgit.errors import TryAgain, UsageError
from citgit.flows.policies import fetch_policies
from citgit.model.build import Build
from citgit.model.names import name as checked_name
from citgit.programs import complete
from citgit.programs.reach import reach
from citgit.programs.wording import emit, label, plain
from citgit.wiring.checkout import commit_aside, config_files, revision
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.configs import with_drain, without_agent
from citgit.wiring.install import Installed

_LOOK_S = 1.0


@click.command("drain", short_help="let an agent take no new builds", epilog="Example: cit agent drain lab1 --wait")
@click.argument("agent", shell_complete=complete.agents)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--off", is_flag=True, help="let it take builds again")
@click.option("--wait", is_flag=True, help="come back when it holds no build any more")
@click.option("--policy", is_flag=True, help="propose it to the team, whether or not the node can be reached")
@click.option("--branch", default="", help="the branch to commit to (default drain-AGENT); it must be new")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def drain(agent: str, directory: str, off: bool, wait: bool, policy: bool, branch: str, as_json: bool) -> None:
    """An agent takes no new builds; those that it has go on.

    Where team.toml says on which host it is, that is told, and it counts at once. Otherwise, or with --policy,
    team.toml is changed on a branch: that counts once it is merged and an admin has published it.
    """
    clone, base, files, host = _team(directory, agent)
    if host and not policy and not branch:
        answer = Installed(host).call("undrain" if off else "drain", agent, *(() if off else ("--why", _who(clone))))
        if as_json:
            emit({"agent": agent, "drained": answer["drained"], "builds": answer["builds"]})
        else:
            busy = f"; {len(answer['builds'])} builds go on there" if answer["builds"] else ""
            click.echo(f"{agent} takes builds again" if off else f"{agent} takes nothing new{busy}")
    else:
        path, content = with_drain(files, agent, drain=not off)
        word = "Let {} build again" if off else "Let {} take no new builds"
        branch = branch or f"{'undrain' if off else 'drain'}-{agent}"
        _propose(clone, base, branch, {path: content}, word.format(agent), as_json)
    if wait and not off:
        _until_free(clone, agent, host if not policy else "")


@click.command(
    "remove",
    short_help="take an agent out of the team, and off its machine",
    epilog="Example: cit agent remove lab1 --node",
)
@click.argument("agent", shell_complete=complete.agents)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--node", is_flag=True, help="drain it, wait, and end its worker on the node first")
@click.option("--files", is_flag=True, help="with --node, and remove its key, workspaces and logs there")
@click.option("--branch", default="", help="the branch to commit to (default remove-AGENT); it must be new")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def remove(agent: str, directory: str, node: bool, files: bool, branch: str, as_json: bool) -> None:
    """Proposes to take an agent out of the team: its key claims nothing from then on. Drain it first.

    team.toml is changed on a branch of its own. It counts once that is merged and an admin has published it.
    """
    clone, base, config, host = _team(directory, agent)
    if node or files:
        if not host:
            raise UsageError(
                f"team.toml does not say on which host {agent!r} is", hint=f"there: cit-node forget {agent} --files"
            )
        there = Installed(host)
        there.call("drain", agent, "--why", _who(clone))
        _until_free(clone, agent, host)
        there.call("forget", agent, *(("--files",) if files else ()))
        click.echo(f"{agent} builds no more on {host}" + (", its files are gone" if files else ""), err=True)
    holds = _holds(clone, agent)
    path, text = without_agent(config, agent)
    _propose(clone, base, branch or f"remove-{agent}", {path: text}, f"Remove agent {agent}", as_json)
    for build in holds:
        click.echo(f"note: it holds {label(build)}; what it pushes after the policy is in force is void", err=True)


def _team(directory: str, agent: str) -> tuple[Clone, str, dict[str, bytes], str]:
    """The clone, the tip of the protected branch, the config there, the agent's host. Raises NotFound."""
    checked_name("agent", agent)
    clone = open_clone(Path(directory))
    team = fetch_policies(clone.state).tip.team
    base, _ = revision(clone.git_dir, f"refs/heads/{team.protected}")
    known = team.agent.get(agent)
    return clone, base, config_files(Path(directory), base), known.host if known else ""


def _who(clone: Clone) -> str:
    return f"by {clone.person or 'somebody'}"


def _holds(clone: Clone, agent: str) -> list[Build]:
    """The builds that the agent holds, as the state has it."""
    return [
        build for build in reach(clone).active()
        if build.held and build.held.actor == f"agent:{agent}" and not build.is_final
    ]  # fmt: skip


def _until_free(clone: Clone, agent: str, host: str) -> None:
    """Waits until the agent holds nothing, in the state and on its node."""
    told = -1
    while True:
        builds = _holds(clone, agent)
        try:
            there = Installed(host).call("state", agent)["builds"] if host and not builds else []
        except TryAgain as error:
            raise TryAgain(f"{error.message}; {agent!r} holds nothing in the state", hint=error.hint) from error
        if not builds and not there:
            return
        if sys.stderr.isatty() and told != (told := len(builds) or len(there)):
            click.echo(f"waits for {told} builds of {agent}", err=True)
        time.sleep(_LOOK_S)


def _propose(
    clone: Clone, base: str, branch: str, changes: Mapping[str, bytes | None], message: str, as_json: bool
) -> None:
    diff = commit_aside(clone.git_dir, branch, base, changes, message, clone.person or "cit")
    document: dict[str, Any] = {"branch": branch, "message": message, "diff": diff}
    if as_json:
        emit(document)
        return
    for line in diff.splitlines():
        click.echo(plain(line))
    click.echo(
        f"committed on branch {branch}; it counts once it is published: git merge {branch} && cit policy publish"
    )
