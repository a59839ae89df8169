"""`cit policy invite|join|accept`: a colleague is in with one command each."""

from __future__ import annotations

import contextlib
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from citgit.errors import NotFound, Refused, UsageError
from citgit.flows.joining import Joiner, forget, joiners
from citgit.flows.joining import invite as put_invitation
from citgit.flows.joining import join as answer
from citgit.flows.policies import fetch_policies
from citgit.flows.publishing import Next, refuse_stranger, seal_of
from citgit.model.names import is_name, is_oid, name
from citgit.model.team import Role
from citgit.programs.policy_keys import edit
from citgit.programs.policy_publish import outcome, proposed_team, put
from citgit.programs.policy_words import change_lines
from citgit.programs.wording import answering
from citgit.wiring.checkout import clone_to, config_files
from citgit.wiring.clone import data_dir, git_place, open_clone, set_setting, setting
from citgit.wiring.configs import read_team, with_person
from citgit.wiring.keys import age_key, ensure_key, fingerprint, secret_signer, signer_for
from citgit.wiring.known import note_clone
from citgit.wiring.shipped import install_hook, programs_dir

_ROLES = click.Choice([role.value for role in Role])


@click.command(
    "invite", short_help="print a line that lets a colleague in", epilog="Example: cit policy invite ben --group dev"
)
@click.argument("who")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--role", "roles", multiple=True, type=_ROLES, help="default: request and read")
@click.option("--group", "groups", multiple=True, help="default: the groups that the default pool lets request")
@click.option("--url", default="", help="how they reach the repository; default: as this clone does")
@answering
def invite(who: str, directory: str, roles: tuple[str, ...], groups: tuple[str, ...], url: str) -> dict[str, Any]:
    """Prints one line to send to a colleague: whoever runs it may join under that name."""
    clone = open_clone(Path(directory))
    chain = fetch_policies(clone.state)
    secret = secrets.token_bytes(32)
    chosen = tuple(Role(role) for role in roles or ("request", "read"))
    pool = chain.tip.team.pool.get("default")
    usual = [one[1:] for one in pool.request if one.startswith("@")] if pool else []
    groups = groups or tuple(one for one in usual if one not in ("agents", "people"))
    put_invitation(
        clone.state, clone.branches, clone.actor(), chain, who, secret_signer(secret).public_key,
        roles=chosen, groups=groups,
    )  # fmt: skip
    if not url and clone.url == str(clone.repository):
        click.echo("note: the state lives in this very repository; if they reach it by another way: --url", err=True)
    click.echo(
        f"send {who} this line, by a way that only they read; it works once. When they ran it: cit policy accept",
        err=True,
    )
    line = f"cit policy join {shlex.quote(url or clone.url)} {who}:{chain.repo}:{secret.hex()}"
    click.echo(line)
    return {"person": who, "line": line}


@click.command(
    "join",
    short_help="answer an invitation",
    epilog="Example: cit policy join git@host:team/project.git ben:3f0c…:91ab…",
)
@click.argument("url")
@click.argument("code")
@click.option("-C", "directory", default="", help="the checkout to set up; default: this one, or a new clone")
@click.option("--into", default="", help="where to clone to")
@click.option("--key", default="", help="your ssh signing key; made if left out")
@answering
def join(url: str, code: str, directory: str, into: str, key: str) -> dict[str, Any]:
    """Answers an invitation: makes your key, sets the clone up, asks to be let in."""
    who, root, secret = _code(code)
    top = _checkout(url, directory, into)
    _, git_dir = git_place(top)
    if setting(git_dir, "remote.origin.url") != url:
        set_setting(git_dir, "citgit.state", url)
    set_setting(git_dir, "citgit.root", root)
    path = Path(key).expanduser().absolute() if key else data_dir() / "keys" / who
    public, made = ensure_key(path, who)
    if made:
        click.echo(f"made a signing key for {who}: {path}")
    clone = open_clone(top)
    note_clone(clone)
    invited = answer(clone.state, clone.branches, signer_for(path), secret_signer(secret), who, age_key(path))
    set_setting(git_dir, "citgit.person", who)
    set_setting(git_dir, "citgit.key", str(path))
    set_setting(git_dir, "citgit.path", str(programs_dir()))
    click.echo(install_hook(git_dir, "pre-push"))
    click.echo(f"asked to join as {who} with {fingerprint(public)} ({', '.join(one.value for one in invited.roles)})")
    click.echo("you are in once an admin runs 'cit policy accept'; then: cit run")
    return {"person": who, "key": str(path), "checkout": str(top)}


@click.command("accept", short_help="let in whoever answered one", epilog="Example: cit policy accept ben")
@click.argument("who", nargs=-1)
@click.option("-C", "directory", default=".", help="a checkout of the protected branch")
@answering
def accept(who: tuple[str, ...], directory: str) -> dict[str, Any]:
    """Lets in whoever answered an invitation: writes them into team.toml, commits that, publishes the policy."""
    clone = open_clone(Path(directory))
    chain = fetch_policies(clone.state)
    actor = clone.actor()
    refuse_stranger(chain, actor)
    wanted = _wanted(list(joiners(clone.state, clone.branches, chain)), who)
    branch = chain.tip.team.protected
    before = proposed_team(clone, directory, chain)
    files: Mapping[str, bytes] = config_files(Path(directory), f"refs/heads/{branch}")
    for one in wanted:
        click.echo(f"{one.name}: {fingerprint(one.key)}, invited by {one.inviter}")
        if one.name in before.person:
            continue  # an earlier accept came as far as the commit
        line = f"{one.key} {one.name}"
        path, content = with_person(files, one.name, line, [role.value for role in one.roles], one.groups, one.age)
        edit(clone, branch, path, content, f"Let {one.name} in")
        files = {**files, path: content}
    team = read_team(files)
    for change in change_lines(chain.tip.team, team):
        click.echo(change)
    reason = f"{', '.join(one.name for one in wanted)} joined"
    done = put(clone, chain, actor, Next(team=team, seal=seal_of(clone.state), reason=reason, hold=chain.tip.hold))
    for one in wanted:
        forget(clone.branches, one)
    return {"people": [one.name for one in wanted], **outcome(done)}


def _wanted(found: list[Joiner], names: tuple[str, ...]) -> list[Joiner]:
    """Those who can be let in, of the named ones or all. Raises NotFound, Refused."""
    for one in found:
        if one.fault and (not names or one.name in names):
            click.echo(f"refused: {one.name}: {one.fault}", err=True)
        elif not one.key:
            click.echo(f"{one.name} was invited by {one.inviter} and has not answered yet", err=True)
    ready = [one for one in found if one.key and not one.fault and (not names or one.name in names)]
    if missing := set(names) - {one.name for one in ready}:
        raise Refused(f"cannot let in {', '.join(sorted(missing))}", hint="invite them again: cit policy invite NAME")
    if not ready:
        raise NotFound("nobody waits to be let in", hint="cit policy invite NAME")
    return ready


def _code(text: str) -> tuple[str, str, bytes]:
    """(name, root, secret) of the line's last part. Raises UsageError."""
    who, root, secret = [*text.split(":"), "", ""][:3]
    if not is_name(who) or not is_oid(root) or len(secret) != 64 or set(secret) - set("0123456789abcdef"):
        raise UsageError(f"not an invitation: {text[:80]!r}", hint="copy the whole line from 'cit policy invite'")
    return name("person", who), root, bytes.fromhex(secret)


def _checkout(url: str, directory: str, into: str) -> Path:
    """The checkout to set up: the named one, the one we are in if it is of that repository, else a new clone."""
    if directory:
        return git_place(Path(directory))[0]
    with contextlib.suppress(UsageError):
        top, git_dir = git_place(Path("."))
        if not into and url in (setting(git_dir, "remote.origin.url"), setting(git_dir, "citgit.state"), str(git_dir)):
            return top
    target = Path(into or url.rstrip("/").rpartition("/")[2].removesuffix(".git") or "project")
    clone_to(url, target)
    click.echo(f"cloned {url} to {target}")
    return target
