"""`cit grant`: lets somebody read a private build after the fact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.flows.private import grant
from citgit.programs.find import find_build
from citgit.programs.wording import answering
from citgit.wiring.clone import open_clone


@click.command("grant", epilog="Example: cit grant 7f3a21 ben @ops --why 'looks into the failure'")
@click.argument("build")
@click.argument("reader", nargs=-1, required=True)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--why", "reason", default="", help="for the record")
@answering
def command(build: str, reader: tuple[str, ...], directory: str, reason: str) -> dict[str, Any]:
    """Lets people and @groups read a private build: its owner may, and the pool's maintainers."""
    clone = open_clone(Path(directory))
    repository = Repository(clone.state, poll(clone.state))
    found = find_build(repository, clone, build)
    grant(clone.state, clone.actor(), repository.snapshot, found, reader, reason)
    click.echo(f"{', '.join(reader)} may read build {found.id}")
    return {"build": found.id, "readers": list(reader)}
