"""What cancel, pause, resume and retry have in common: one build, one record, one line of answer."""

from __future__ import annotations

import json
from pathlib import Path

import click

from citgit.flows.control import control, outcome_text
from citgit.model.record import Body
from citgit.programs.find import find_build
from citgit.programs.reach import reach
from citgit.wiring.clone import open_clone


def act(directory: str, build: str, body: Body, as_json: bool) -> None:
    """Pushes a control record to the build that the person means, and says what became of it."""
    clone = open_clone(Path(directory))
    repository = reach(clone)
    found = find_build(repository, clone, build)
    after = control(clone.state, clone.actor(), repository, found, body)
    if as_json:
        click.echo(json.dumps({"version": 1, "build": after.id, "state": after.state, "outcome": outcome_text(after)}))
    else:
        click.echo(f"{after.id}: {outcome_text(after)}")
