"""`cit policy gitolite`: the policy in force as a configuration of gitolite."""

from __future__ import annotations

from pathlib import Path

import click

from citgit.errors import UsageError
from citgit.flows.policies import fetch_policies
from citgit.model.pattern import pattern
from citgit.model.policy import PolicyView
from citgit.programs.wording import plain
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
@click.option(
    "--keys", default="",
    help="also write everybody's keys here: NUMBER/NAME.pub, as gitolite wants them; remove those that this wrote for "
    "who has left",
)  # fmt: skip
def gitolite(repository: str, directory: str, keys: str) -> None:
    """Prints gitolite's rules for REPOSITORY: who may write which refs. The VREF judges what they write."""
    if not _NAME.fullmatch(repository) or ".." in repository:
        raise UsageError(f"not a repository of gitolite: {repository[:80]!a}", hint="name it as in gitolite.conf")
    clone = open_clone(Path(directory))
    policy = fetch_policies(clone.state).tip
    click.echo(gitolite_rules(policy, repository, clone.state.refs.root), nl=False)
    if keys:
        _write(policy, Path(keys), f"citgit:{repository}")


def _write(policy: PolicyView, folder: Path, mark: str) -> None:
    """Everybody's keys as files that end in the mark; those of earlier times that have it are removed."""
    wanted = {
        folder / str(number) / f"{name}.pub": f"{key} {mark}\n"
        for name in sorted({*policy.team.person, *policy.team.agent})
        for number, key in enumerate(live_keys(policy, name))
    }
    try:
        known = {
            path: path.read_text(errors="replace") for path in folder.glob("*/*.pub") if path.parent.name.isdigit()
        }
        for path, line in wanted.items():
            if path in known and known[path].split()[:2] != line.split()[:2] and not known[path].endswith(f" {mark}\n"):
                raise UsageError(
                    f"{str(path)!r} has another key, which 'cit policy gitolite' did not write",
                    hint=f"move it, or give this repository a folder of its own: --keys {folder}/NAME",
                )
        for path, line in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if known.get(path, "").split()[:2] != line.split()[:2]:
                path.write_text(line)
        for path, text in known.items():
            if path not in wanted and text.endswith(f" {mark}\n"):
                path.unlink()
                click.echo(f"removed {plain(path)}: the policy has no such key any more", err=True)
    except OSError as error:
        raise UsageError(f"cannot write the keys in {str(folder)!r}: {error.strerror}", hint="check --keys") from error
