"""`cit retry`: asks for the same build again."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from citgit.errors import NotFound
from citgit.flows.writing import follow, write
from citgit.model.record import Cause
from citgit.programs.find import find_build
from citgit.programs.reach import reach
from citgit.wiring.clone import open_clone


@click.command("retry", epilog="Example: cit retry check@main")
@click.argument("build", default="")
@click.option("-C", "directory", default=".", help="the checkout")
def command(build: str, directory: str) -> None:
    """Asks for a new build with the same job, revisions and parameters."""
    clone = open_clone(Path(directory))
    repository = reach(clone)
    old = find_build(repository, clone, build)
    if old.request is None:
        raise NotFound(f"build {old.id} has no valid request")
    request = msgspec.structs.replace(old.request, cause=Cause(), retry_of=old.id, promises=(), upstream={})
    new = clone.state.entropy.build_id()
    ref = clone.state.refs.build(old.pool, new)
    write(
        clone.state, clone.actor(),
        [follow(clone.state, clone.actor(), repository.snapshot, request, ref=ref, build=new, parent=None)],
    )  # fmt: skip
    click.echo(f"{new}: queued, as {old.id} was")
