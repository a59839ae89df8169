"""`cit policy revoke|recover`: a key that got lost, or into wrong hands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from citgit.errors import CitError, NotFound, UsageError
from citgit.flows.policies import fetch_policies
from citgit.flows.publishing import Next, seal_of
from citgit.model.names import name as checked_name
from citgit.model.policy import PolicyChain, PolicyView
from citgit.model.record import Revoked
from citgit.model.team import Role
from citgit.programs.policy_publish import outcome, put
from citgit.programs.policy_words import listed_keys
from citgit.programs.wording import answering
from citgit.rules.authority import actor_of, live_keys
from citgit.wiring.checkout import commit_files, config_files, head_branch, is_clean
from citgit.wiring.clone import Clone, data_dir, open_clone, set_setting
from citgit.wiring.configs import with_keys
from citgit.wiring.keys import ensure_key, fingerprint, read_public_key, signer_for


@click.command(
    "revoke",
    short_help="take a key out of force for ever",
    epilog="Example: cit policy revoke ben --why 'laptop stolen'",
)
@click.argument("key")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--why", "reason", required=True, help="for everybody to read")
@answering
def revoke(key: str, directory: str, reason: str) -> dict[str, Any]:
    """Takes a key out of force for ever: of a person, an agent, or by fingerprint, .pub file or its text.

    Nothing that lands from now on counts; what was there before stays valid.
    """
    clone = open_clone(Path(directory))
    chain = fetch_policies(clone.state)
    keys = named_keys(chain, key)
    for one in keys:
        owner = actor_of(chain.tip.team, one)
        click.echo(f"revoking {fingerprint(one)}" + (f" of {owner}" if owner else ", which nobody has now"))
    revoked = tuple(Revoked(key=one, why=reason) for one in keys)
    wanted = Next(team=chain.tip.team, seal=seal_of(clone.state), reason=reason, revoked=revoked, hold=chain.tip.hold)
    done = put(clone, chain, clone.actor(), wanted)
    if not done.missing:
        after = fetch_policies(clone.state)
        for line in listed_keys(after.tip, after.tip.team):
            click.echo(f"note: {line}")
    return {"revoked": [fingerprint(one) for one in keys], **outcome(done)}


def named_keys(chain: PolicyChain, text: str) -> list[str]:
    """The keys that `text` means, revoked ones left out. Raises NotFound."""
    tip = chain.tip
    if text in tip.team.person or text in tip.team.agent:
        if found := live_keys(tip, text):
            return found
        raise NotFound(f"{text!r} has no key left to revoke", hint="cit policy show")
    known = [key for key in _ever(chain) if key not in tip.revoked]
    exact = [key for key in known if fingerprint(key) == text or key == " ".join(text.split()[:2])]
    if exact:
        return exact
    if Path(text).is_file():
        public = read_public_key(Path(text))
        if public not in tip.revoked:
            return [public]
    raise NotFound(
        f"no key {text!r} in force",
        hint="name a person, an agent, a fingerprint (SHA256:…) or a .pub file: cit policy show",
    )


def _ever(chain: PolicyChain) -> list[str]:
    """Every key that any policy listed: an old one may be signed with again where nobody looks."""
    found: dict[str, None] = {}
    for view in chain.policies:
        lines = [key for person in view.team.person.values() for key in person.keys]
        lines += [agent.key for agent in view.team.agent.values()]
        found |= {" ".join(line.split()[:2]): None for line in lines}
    return list(found)


@click.command(
    "recover",
    short_help="give an admin who lost their key a new one",
    epilog="Example: cit policy recover --key /media/usb/anna-recovery",
)
@click.option("-C", "directory", default=".", help="a checkout; a fresh clone will do")
@click.option("--key", "recovery", required=True, help="the recovery key that 'cit init' made")
@click.option("--name", "person", default="", help="whose key was lost; default: the only other admin")
@click.option("--new-key", default="", help="their new key; made if left out")
@click.option("--why", "reason", default="the key was lost", help="for everybody to read")
@answering
def recover(directory: str, recovery: str, person: str, new_key: str, reason: str) -> dict[str, Any]:
    """Gives an admin who lost their key a new one, on the word of the offline recovery key."""
    clone = open_clone(Path(directory))
    chain = fetch_policies(clone.state)
    signer = signer_for(Path(recovery))
    owner = actor_of(chain.tip.team, signer.public_key)
    if not owner:
        raise NotFound(f"the key {recovery!r} is nobody's under policy {chain.tip.version}", hint="cit policy show")
    person = _lost(chain.tip, owner, person)
    path = Path(new_key) if new_key else data_dir() / "keys" / f"{person}-{chain.tip.version + 1}"
    public, made = ensure_key(path, person)
    click.echo(f"{'made' if made else 'taking'} {person}'s new key {path} ({fingerprint(public)})")
    lost = live_keys(chain.tip, person)
    people = chain.tip.team.person
    changed = {**people, person: msgspec.structs.replace(people[person], keys=(public,))}
    wanted = Next(
        team=msgspec.structs.replace(chain.tip.team, person=changed), seal=seal_of(clone.state), reason=reason,
        revoked=tuple(Revoked(key=key, why=reason) for key in lost if key != public), hold=chain.tip.hold,
    )  # fmt: skip
    done = put(clone, chain, clone.actor_as(owner, signer), wanted)
    set_setting(clone.git_dir, "citgit.person", person)
    set_setting(clone.git_dir, "citgit.key", str(path))
    _write_keys(clone, directory, chain, person, public)
    click.echo("put the recovery key back where only you find it")
    return {"person": person, "key": str(path), **outcome(done)}


def _lost(tip: PolicyView, owner: str, person: str) -> str:
    if person:
        if checked_name("person", person) not in tip.team.person:
            raise NotFound(f"no person {person!r} in policy {tip.version}", hint="cit policy show")
        return person
    admins = [name for name, one in tip.team.person.items() if Role.ADMIN in one.roles and f"person:{name}" != owner]
    if len(admins) != 1:
        raise UsageError(f"there are {len(admins)} other admins", hint="say who lost their key: --name NAME")
    return admins[0]


def _write_keys(clone: Clone, directory: str, chain: PolicyChain, person: str, public: str) -> None:
    """Brings team.toml into line, where it can be done without touching anybody's work; says so where not."""
    branch = chain.tip.team.protected
    try:
        files: Mapping[str, bytes] = config_files(Path(directory), f"refs/heads/{branch}")
        path, content = with_keys(files, person, [public])
        edit(clone, branch, path, content, f"Give {person} a new key")
    except CitError as error:
        click.echo(f"note: team.toml was left alone ({error.message}); on branch {branch!r} {person}'s line must be:\n")
        click.echo(f'keys = ["{public}"]\n')


def edit(clone: Clone, branch: str, path: str, content: bytes, message: str) -> None:
    """Writes a file of the team and commits it to the protected branch. Raises UsageError if that is in use."""
    if head_branch(clone.git_dir) != branch or clone.top == clone.git_dir:
        raise UsageError(f"branch {branch!r} is not checked out here", hint=f"git switch {branch}")
    if not is_clean(clone.top, path):
        raise UsageError(f"{path} has changes that are not committed", hint="commit them, or put them away")
    (clone.top / path).parent.mkdir(parents=True, exist_ok=True)
    (clone.top / path).write_bytes(content)
    commit_files(clone.top, clone.git_dir, [path], message, clone.person or "cit")
    click.echo(f"committed {path} on {branch}: push it when you push next")
