"""`cit pause`: holds a waiting build until it is resumed."""

from __future__ import annotations

import click

from citgit.model.record import Pause
from citgit.programs import complete
from citgit.programs.controls import act


@click.command("pause", epilog="Example: cit pause check@main --why 'its disk is being replaced'")
@click.argument("build", default="", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--why", "reason", default="", help="for the record")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(build: str, directory: str, reason: str, as_json: bool) -> None:
    """Holds a waiting build until it is resumed."""
    act(directory, build, Pause(reason=reason), as_json)
