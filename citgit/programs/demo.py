"""`cit demo`: the whole thing on this machine, in a folder of its own, every step shown as it happens."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from citgit.errors import UsageError
from citgit.programs.demo_stage import Stage
from citgit.programs.demo_story import tell


@click.command("demo", epilog="Example: cit demo --dir /tmp/my-demo")
@click.option("--dir", "directory", default="", help="an empty folder; default: a new one in the temporary folder")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per event")
@click.option("--self/--no-self", "with_self", default=True, help="also build citgit's own checkout, if this is one")
def command(directory: str, as_json: bool, with_self: bool) -> None:
    """Shows a push becoming a signed result, a red build explained, and a killed worker's build finished."""
    top = Path(directory).resolve() if directory else Path(tempfile.mkdtemp(prefix="cit-demo-"))
    top.mkdir(parents=True, exist_ok=True)
    if any(top.iterdir()):
        raise UsageError(f"folder {str(top)!r} is not empty", hint="name another one with --dir")
    stage = Stage(top, as_json)
    try:
        tell(stage, with_self=with_self)
    finally:
        stage.close()
