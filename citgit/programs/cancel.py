"""`cit cancel`: ends a build that nobody wants any more; a running one is stopped."""

from __future__ import annotations

import click

from citgit.model.record import Cancel
from citgit.programs import complete
from citgit.programs.controls import act


@click.command("cancel", epilog="Example: cit cancel check@main --why 'wrong branch'")
@click.argument("build", default="", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--why", "reason", default="", help="for the record")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(build: str, directory: str, reason: str, as_json: bool) -> None:
    """Ends a build that nobody wants any more; a running one is stopped."""
    act(directory, build, Cancel(reason=reason), as_json)
