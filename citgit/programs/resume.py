"""`cit resume`: lets a held build wait for an agent again."""

from __future__ import annotations

import click

from citgit.model.record import Resume
from citgit.programs import complete
from citgit.programs.controls import act


@click.command("resume", epilog="Example: cit resume check@main")
@click.argument("build", default="", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--why", "reason", default="", help="for the record")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(build: str, directory: str, reason: str, as_json: bool) -> None:
    """Lets a held build wait for an agent again."""
    act(directory, build, Resume(reason=reason), as_json)
