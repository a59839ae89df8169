"""`cit restore`: after the host came back from a backup, an admin holds all claims, gives back, and lets go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from citgit.flows import restore
from citgit.flows.poll import poll
from citgit.programs.policy_publish import told
from citgit.programs.waiting import waiting
from citgit.programs.wording import answering, many
from citgit.wiring.clone import Clone, open_clone


@click.command(
    "restore", epilog="Example: cit restore --why 'disk replaced'   and, once all is back: cit restore --release"
)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--why", "reason", default="restored from a backup", help="for the record")
@click.option("--release", is_flag=True, help="lift the hold: from then on the host's chains are the ones that count")
@answering
def command(directory: str, reason: str, release: bool) -> dict[str, Any]:
    """Gives a state repository that was restored from a backup what it lost, while nothing is claimed.

    The first run publishes a policy of the next generation that holds all claims; meanwhile every worker and every
    clone that is used gives back the longer chains that it remembers. Run it again to see and give back more;
    --release ends it. What the host went on without is kept in each clone as evidence.

    It also settles builds of which the ref and the archive show two ends: the archive's counts then.
    """
    clone = open_clone(Path(directory))
    actor = clone.actor()
    if release:
        told(clone, restore.release(clone.state, clone.branches, actor, reason))
    else:
        done = restore.begin(clone.state, clone.branches, actor, reason)
        if done is None:
            click.echo("all claims are held already")
        else:
            told(clone, done)
            if done.missing:
                return {"held": False, "given": [], "evidence": {}}
    given = _give_back(clone)
    evidence = dict(sorted(restore.evidence(clone.state).items()))
    for name, tip in evidence.items():
        click.echo(f"evidence: {name} was at {tip[:12]}; the host goes on without it")
    if not release:
        click.echo("workers give back what they remember at their next turn; then: cit restore --release", err=True)
    return {"held": not release, "given": given, "evidence": evidence}


def _give_back(clone: Clone) -> list[str]:
    """Gives back what this clone remembers; the refs."""
    given: list[str] = []
    while True:
        with waiting("giving back what this clone remembers"):
            done = restore.push_back(clone.state, poll(clone.state))
        given += done.given
        for ref in done.given:
            click.echo(f"gave back {ref}")
        # a fork of an archive brings its builds back in a second round; what is still open may need the host
        if not done.given and not done.evidence:
            break
    for ref in done.open:
        click.echo(f"not given back yet: {ref}")
    click.echo(f"{many(len(given), 'ref')} given back")
    return given
