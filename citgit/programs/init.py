"""`cit init`: makes a repository ready: a proposed cit.toml, keys, team.toml, the root policy."""

from __future__ import annotations

import getpass
import re
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

import click

from citgit.errors import NotFound, Refused, UsageError
from citgit.flows.moving import bring
from citgit.flows.policies import fetch_policies
from citgit.flows.publishing import publish, seal_of
from citgit.model.names import is_name
from citgit.model.names import name as checked_name
from citgit.model.policy import PolicyChain
from citgit.programs.waiting import waiting
from citgit.programs.wording import emit, many
from citgit.rules.authority import actor_of
from citgit.wiring.checkout import commit_at, commit_files, config_files, git_user, head_branch, tracked
from citgit.wiring.clone import Clone, data_dir, git_place, open_clone, set_setting, setting
from citgit.wiring.configs import detect, other_ci, read_team, render_cit_toml
from citgit.wiring.hosts import own_state
from citgit.wiring.keys import age_key, ensure_key, fingerprint
from citgit.wiring.known import note_clone
from citgit.wiring.shipped import install_hook, programs_dir

TEAM = """# Who may do what. It counts from branch {branch!r} only, once an admin runs 'cit policy publish'.
protected = "{branch}"

[person.{person}]
keys = ["{key}"]
roles = ["admin", "maintain", "request", "read"]
groups = ["dev"]
{age}
[person.recovery]                      # the offline key: replaces a lost sole admin
keys = ["{recovery}"]
roles = ["admin"]

[pool.default]                         # agents are added as [agent.NAME]; see 'cit worker --help'
claim = ["@agents"]
request = ["@dev"]
maintain = ["@dev"]

[trigger.push]                         # who may say "this was pushed": hooks, workers, people
keys = ["@agents", "@dev"]
"""

HOOK_AGENT = """[agent.{agent}]              # signs requests in the name of [trigger.push], and builds nothing
key = "{key}"
pools = []
"""


@click.command("init", epilog="Example: cit init --name anna")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--name", "person", default="", help="your name in team.toml; default: as git knows you")
@click.option("--key", default="", help="your ssh signing key; made if left out")
@click.option("--state", default="", help="where the state lives: a path or URL; default: origin, else this repository")
@click.option("--no-commit", is_flag=True, help="write the files, do not commit them")
@click.option("--json", "as_json", is_flag=True, help="print JSON when all is done; words for people go to stderr")
def command(directory: str, person: str, key: str, state: str, no_commit: bool, as_json: bool) -> None:
    """Makes a repository ready: proposes a job, makes keys, the root policy and a hook. Overwrites nothing.

    A state that was kept in the repository moves to its origin, once there is one.

    In a bare repository, on the server: makes a key for its hook, and installs that and the one that judges pushes.
    """
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        done = _init(Path(directory), person, key, state, no_commit=no_commit)
    if as_json:
        emit(done)


def _init(directory: Path, person: str, key: str, state: str, *, no_commit: bool) -> dict[str, str]:
    """Does it all, telling each step; what there is now."""
    top, git_dir = git_place(directory)
    if person:
        checked_name("person", person)
    if top == git_dir:
        return _server(git_dir, person or "server-hook", key)
    if not commit_at(git_dir, "HEAD"):
        raise UsageError("this repository has no commit yet", hint="commit something, then run 'cit init' again")
    person = person or setting(git_dir, "citgit.person") or _name(git_user(git_dir)[0] or getpass.getuser())
    path = Path(key or setting(git_dir, "citgit.key") or data_dir() / "keys" / person).expanduser().absolute()
    public = _key(path, person)
    if state:
        set_setting(git_dir, "citgit.state", state)
    set_setting(git_dir, "citgit.person", person)
    set_setting(git_dir, "citgit.key", str(path))
    clone = open_clone(directory)
    note_clone(clone)
    if clone.url == str(clone.repository) and not setting(git_dir, "core.fsync"):
        # the state lives in this very repository: what is acknowledged must survive a power cut
        set_setting(git_dir, "core.fsync", "all")
    with waiting(f"asking {clone.state.remote.url}"):
        _bring_state(clone)
        known = _known_policy(clone)
    branch = head_branch(git_dir)
    written = [_cit_toml(clone, branch), "" if known else _team_toml(clone, branch, person, public)]
    new = [one for one in written if one]
    if new and not no_commit:
        _commit(clone, new)
    root = _join(clone, known, person, public) if known else _root_policy(clone, person)
    set_setting(git_dir, "citgit.root", root)
    set_setting(git_dir, "citgit.path", str(programs_dir()))
    click.echo(install_hook(git_dir, "pre-push"))
    click.echo("next: cit run")
    return {"person": person, "key": str(path), "public_key": public, "state": clone.state.remote.url, "root": root}


def _bring_state(clone: Clone) -> None:
    """Moves a state that was kept in this repository before it had an origin."""
    if clone.url == str(clone.repository):
        return
    if moved := bring(clone.state, own_state(clone.repository, clone.state.refs.root)):
        click.echo(f"moved the state from this repository to {clone.state.remote.url}: {many(len(moved), 'ref')}")


def _server(git_dir: Path, agent: str, key: str) -> dict[str, str]:
    """Makes a bare repository a door: a key that may only sign requests, and the hook that uses it."""
    path = Path(key or setting(git_dir, "citgit.hookKey") or data_dir() / "keys" / agent)
    public = _key(path, agent)
    set_setting(git_dir, "citgit.hookKey", str(path))
    set_setting(git_dir, "citgit.path", str(programs_dir()))
    for hook in ("update", "post-receive"):
        click.echo(install_hook(git_dir, hook))
    click.echo(
        f"to let it ask for builds, add to team.toml, then run 'cit policy publish':\n\n{HOOK_AGENT}".format(
            agent=agent, key=public
        )
    )
    return {"agent": agent, "key": str(path), "public_key": public}


def _key(path: Path, person: str) -> str:
    public, made = ensure_key(path, person)
    if made:
        click.echo(f"made a signing key for {person}: {path} ({fingerprint(public)})")
    return public


def _cit_toml(clone: Clone, branch: str) -> str:
    files = tracked(clone.top)
    if any(one in files or (clone.top / one).exists() for one in ("cit.toml", ".cit/cit.toml")):
        click.echo("cit.toml is there already: left as it is")
        return ""
    proposals = detect(files, lambda name: _read(clone.top / name))
    if not proposals:
        raise NotFound(
            "found nothing that builds this repository",
            hint="add a job, for example: cit job new check -- make check",
        )
    text = render_cit_toml(proposals, branch, other_ci(files))
    (clone.top / "cit.toml").write_text(text)
    click.echo("proposed cit.toml (edit it as you like):\n")
    click.echo("".join(f"    {line}\n" for line in text.splitlines()))
    return "cit.toml"


def _team_toml(clone: Clone, branch: str, person: str, public: str) -> str:
    if (clone.top / "team.toml").exists() or (clone.top / ".cit/team.toml").exists():
        return ""
    recovery = data_dir() / "keys" / f"{person}-recovery"
    key, _ = ensure_key(recovery, "recovery")
    mine = age_key(clone.key) if clone.key else ""
    age = f'age = "{mine}"\n' if mine else ""
    (clone.top / "team.toml").write_text(TEAM.format(branch=branch, person=person, key=public, recovery=key, age=age))
    click.echo(f"wrote team.toml: you are its admin. Keep the recovery key somewhere else: {recovery}")
    return "team.toml"


def _commit(clone: Clone, names: list[str]) -> None:
    commit_files(clone.top, clone.git_dir, names, "Build with citgit", clone.person)
    click.echo(f"committed {' and '.join(names)}")


def _known_policy(clone: Clone) -> PolicyChain | None:
    """The policy that is in force already."""
    try:
        return fetch_policies(clone.state)
    except NotFound:
        return None


def _join(clone: Clone, chain: PolicyChain, person: str, public: str) -> str:
    """Says whose the policy is that was found, and what a stranger to it can do; its root."""
    click.echo(f"state at {clone.state.remote.url}: policy {chain.tip.version}, root {chain.repo[:16]}")
    if actor_of(chain.tip.team, public) != f"person:{person}":
        click.echo(f"you are not in that policy yet: an admin lets you in with 'cit policy invite {person}'", err=True)
    return chain.repo


def _root_policy(clone: Clone, person: str) -> str:
    """Makes the first policy from team.toml; its oid."""
    team = read_team(config_files(clone.top, ""))
    try:
        made = publish(clone.state, clone.actor(), team, before=None, seal=seal_of(clone.state), reason="root")
    except Refused as error:
        hint = "'cit init --state .' keeps the state in this repository; --state URL in one that you may write to"
        raise Refused(f"cannot keep the state at {clone.state.remote.url}: {error.message}", hint=hint) from error
    click.echo(f"made the root policy {made[:16]} at {clone.state.remote.url}, signed by {person}")
    return made


def _name(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    return plain if is_name(plain) else "me"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if not path.is_symlink() else None
    except OSError:
        return None
