"""`cit retry`: asks for the same build again."""

from __future__ import annotations

from pathlib import Path

import click

from citgit.errors import RemoteAway
from citgit.flows.enqueue import enqueue_again
from citgit.model.names import HERE
from citgit.programs import complete
from citgit.programs.find import find_build
from citgit.programs.reach import reach
from citgit.programs.run import Out, ask
from citgit.wiring.clone import open_clone


@click.command("retry", epilog="Example: cit retry check@main --follow")
@click.argument("build", default="", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("-f", "--follow", is_flag=True, help="wait and show the output")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per event")
@click.pass_context
def command(ctx: click.Context, build: str, directory: str, follow: bool, as_json: bool) -> None:
    """Asks for a new build with the same job, revisions and parameters, and for those that came after it.

    One that was built on this machine (--here) is built here again.
    """
    clone = open_clone(Path(directory))
    repository = reach(clone)
    old = find_build(repository, clone, build)
    here = old.pool == HERE
    if here and repository.snapshot.away:
        raise RemoteAway("a build here records its claim and result at the host, and that is away")
    draft = enqueue_again(clone.state, clone.actor(), repository.snapshot, old)
    ctx.exit(ask(clone, [draft], Out(as_json), here=here, follow=follow))
