"""`cit policy gitolite`: the policy in force as a configuration of gitolite."""

from __future__ import annotations

from pathlib import Path

import click

from citgit.errors import UsageError
from citgit.flows.policies import fetch_policies
from citgit.model.pattern import pattern
from citgit.model.policy import PolicyView
from citgit.rules.authority import live_keys
from citgit.rules.gitolite import gitolite_rules
from citgit.wiring.clone import open_clone

_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._@/+-]*")


@click.command(
    "gitolite",
    short_help="print gitolite's rules for a state repository",
    epilog="Example: cit policy gitolite project --keys keydir >conf/project.conf",
)
@click.argument("repository")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--keys", default="", help="also write everybody's keys here: NUMBER/NAME.pub, as gitolite wants them")
def gitolite(repository: str, directory: str, keys: str) -> None:
    """Prints gitolite's rules for REPOSITORY: who may write which refs. The VREF judges what they write."""
    if not _NAME.fullmatch(repository) or ".." in repository:
        raise UsageError(f"not a repository of gitolite: {repository[:80]!a}", hint="name it as in gitolite.conf")
    clone = open_clone(Path(directory))
    policy = fetch_policies(clone.state).tip
    click.echo(gitolite_rules(policy, repository, clone.state.refs.root), nl=False)
    if keys:
        _write(policy, Path(keys))


def _write(policy: PolicyView, folder: Path) -> None:
    for name in sorted({*policy.team.person, *policy.team.agent}):
        for number, key in enumerate(live_keys(policy, name)):
            path = folder / str(number) / f"{name}.pub"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{key}\n")
