"""`cit shell`: a shell in the workspace that a build left, here or, with an account of one's own, on its node."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from citgit.errors import Errored
from citgit.model.build import Build
from citgit.programs import complete
from citgit.programs.find import find_build, title
from citgit.programs.log_place import where
from citgit.programs.reach import reach
from citgit.programs.wording import plain
from citgit.wiring.clone import open_clone
from citgit.wiring.homes import is_own
from citgit.wiring.nodes import Far, far, shell_line


@click.command("shell", epilog="Example: cit shell check@main")
@click.argument("build", default="", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
def command(build: str, directory: str) -> None:
    """Opens a shell in the workspace that BUILD left, with the variables that citgit gave its command.

    On another machine you need an account of your own there: a key that may only read opens no shells.
    The workspace stays for the job's keep.days; what you change in it changes no record.
    """
    clone = open_clone(Path(directory))
    repository = reach(clone)
    found = find_build(repository, clone, build)
    there = far(clone, repository.snapshot.policies.tip, found)
    argv = _here(there, found) or _there(there)
    click.echo(f"{plain(title(found))} {found.id}, at {plain(where(found) or there.agent)}", err=True)
    sys.stdout.flush()
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        raise Errored(f"cannot start {argv[0]!r}: {error.strerror}", hint="is it installed?") from error


def _here(there: Far, build: Build) -> list[str]:
    """The command line if the attempt is on this machine and ours; empty if not."""
    log = Path(where(build).partition(":")[2] or "/nonexistent")
    home = log.parent.parent.parent
    # a record names the path: what is there may be anybody's
    if not log.is_absolute() or not is_own(home):
        return []
    program = shutil.which("cit-serve", path=f"{Path(sys.argv[0]).absolute().parent}:{os.environ.get('PATH', '')}")
    return [program, "--home", str(home), "shell", there.claim] if program else []


def _there(there: Far) -> list[str]:
    """The command line by ssh. Raises NotFound, NodeAway, NoServe."""
    return there.way().argv(shell_line(there), terminal=sys.stdin.isatty())
