"""`cit diff`: what differs between two builds: what was asked, where it ran, what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from citgit.model.build import Build
from citgit.programs import complete
from citgit.programs.find import find_build
from citgit.programs.reach import reach
from citgit.programs.wording import agent, builtins, emit, label, plain, word
from citgit.wiring.clone import open_clone


@click.command("diff", epilog="Example: cit diff check@main check@topic")
@click.argument("first", shell_complete=complete.builds)
@click.argument("second", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def command(ctx: click.Context, first: str, second: str, directory: str, as_json: bool) -> None:
    """Compares two builds: definition, sources, parameters, environment, outcome, duration, artifacts.

    The exit status is 0 if only the duration differs, else 1.
    """
    clone = open_clone(Path(directory))
    repository = reach(clone)
    one, other = (find_build(repository, clone, text) for text in (first, second))
    left, right = facts(one), facts(other)
    differing = {
        key: (left.get(key), right.get(key))
        for key in sorted({*left, *right})
        if left.get(key) != right.get(key)
    }  # fmt: skip
    if as_json:
        changes = {key: {"a": before, "b": after} for key, (before, after) in differing.items()}
        emit({"a": one.id, "b": other.id, "differences": changes})
    else:
        click.echo(click.style(f"--- {label(one)}", bold=True))
        click.echo(click.style(f"+++ {label(other)}", bold=True))
        for key, (before, after) in differing.items():
            click.echo(plain(key))
            _side("-", before, "red")
            _side("+", after, "green")
    ctx.exit(1 if set(differing) - {"duration ms"} else 0)


def facts(build: Build) -> dict[str, Any]:
    """Everything that is compared, flat: what it is -> its value."""
    found: dict[str, Any] = {"outcome": word(build), "pool": build.pool, "agent": agent(build)}
    if build.request:
        found |= _flat("definition", builtins(build.request.definition))
        found |= _flat("parameter", dict(build.request.parameters)) | _flat("cell", dict(build.request.cell))
        for source in build.request.sources:
            found[f"source {source.repo} at {source.at}"] = source.commit
        found["config"] = build.request.config.commit
    if build.result:
        found |= _flat("environment", dict(build.result.environment))
        found["duration ms"] = build.result.usage.wall_ms
        found["exit"] = build.result.exit.signal or build.result.exit.status
        found["reason"] = build.result.reason
        for artifact in build.result.artifacts:
            found[f"artifact {artifact.path}"] = f"sha256 {artifact.sha256}, {artifact.size} bytes"
    return found


def _flat(name: str, value: Any) -> dict[str, Any]:
    """A nested table as dotted keys."""
    if not isinstance(value, dict):
        return {name: value}
    return {key: item for inner, below in value.items() for key, item in _flat(f"{name}.{inner}", below).items()}


def _side(sign: str, value: Any, colour: str) -> None:
    if value is not None and value != "":
        text = value if isinstance(value, str) else json.dumps(value)
        click.echo(click.style(f"  {sign} {plain(text)}", fg=colour))
