"""`cit job`: lists, shows, checks, adds and copies the jobs of cit.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click
import msgspec

from citgit.errors import BadConfig, NotFound, UsageError
from citgit.model.job import CitToml
from citgit.programs import complete
from citgit.programs.wording import builtins, emit, plain
from citgit.wiring.checkout import config_files
from citgit.wiring.clone import git_place
from citgit.wiring.configs import cit_paths, read_cit, read_team, resolve, team_paths, with_copy, with_job


@click.group("job", epilog="Example: cit job list")
def command() -> None:
    """Lists, shows, checks, adds and copies jobs, as the working tree or a revision has them."""


@command.command("list", short_help="list the jobs", epilog="Example: cit job list --ref main")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--ref", default="", help="a revision; default: the working tree")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per job")
def list_jobs(directory: str, ref: str, as_json: bool) -> None:
    """Lists the jobs, with their commands and what starts them."""
    config = read_cit(config_files(Path(directory), ref))
    for name, job in config.job.items():
        if as_json:
            emit({"job": name, "command": job.command, "push": job.trigger.push, "after": list(job.after)})
        else:
            starts = f"  push: {', '.join(job.trigger.push)}" if job.trigger.push else ""
            after = f"  after: {', '.join(job.after)}" if job.after else ""
            click.echo(plain(f"{name:<16} {' '.join(job.command) or '(to be extended)'}{starts}{after}"))


@command.command("show", short_help="show a job with all that it inherits", epilog="Example: cit job show check --json")
@click.argument("job", shell_complete=complete.jobs)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--ref", default="", help="a revision; default: the working tree")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def show_job(job: str, directory: str, ref: str, as_json: bool) -> None:
    """Shows a job with what it inherits, and the builds that asking for it makes."""
    config = read_cit(config_files(Path(directory), ref))
    if job not in config.job:
        raise NotFound(f"no job {job!r}", hint=f"known jobs: {', '.join(config.job) or 'none'}")
    found = config.job[job]
    cells = _cells(config, job)
    if as_json:
        emit({"job": job, "definition": builtins(found), "cells": cells})
        return
    click.echo(plain(f"[job.{job}]"))
    for key, value in builtins(found).items():
        click.echo(plain(f"{key} = {msgspec.json.encode(value).decode()}"))
    for cell in cells if found.matrix else []:
        click.echo(plain("builds " + " ".join(f"{key}={value}" for key, value in cell.items())))


@command.command(
    "check", short_help="check cit.toml and team.toml for faults", epilog="Example: cit job check --ref HEAD"
)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--ref", default="", help="a revision; default: the working tree")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per fault")
@click.pass_context
def check_jobs(ctx: click.Context, directory: str, ref: str, as_json: bool) -> None:
    """Checks cit.toml and team.toml: every fault on stderr; the exit status is 2 if there is one."""
    found = config_files(Path(directory), ref)
    if not found:
        raise NotFound("no cit.toml and no team.toml here", hint="'cit init' proposes them")
    faults = faults_of(found)
    for fault in faults:
        if as_json:
            emit({"fault": fault})
        else:
            click.echo(plain(fault), err=True)
    if not faults and not as_json:
        click.echo(f"good: {', '.join(sorted({*cit_paths(found), *team_paths(found)}))}")
    ctx.exit(2 if faults else 0)


@command.command(
    "new", short_help="add a job to cit.toml", epilog="Example: cit job new lint --push '*' -- ruff check ."
)
@click.argument("job")
@click.argument("argv", metavar="COMMAND...", nargs=-1, required=True)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--push", multiple=True, metavar="PATTERN", help="branches that start it")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def new_job(job: str, argv: tuple[str, ...], directory: str, push: tuple[str, ...], as_json: bool) -> None:
    """Adds a job to cit.toml in the working tree. Write -- before the COMMAND if it has options."""
    path, content = with_job(config_files(Path(directory), ""), job, argv, push)
    _write(Path(directory), job, path, content, as_json)


@command.command("clone", short_help="add a copy of a job", epilog="Example: cit job clone check check-clang")
@click.argument("old", shell_complete=complete.jobs)
@click.argument("new")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def clone_job(old: str, new: str, directory: str, as_json: bool) -> None:
    """Adds a copy of job OLD under the name NEW to cit.toml in the working tree, to be changed there."""
    path, content = with_copy(config_files(Path(directory), ""), old, new)
    _write(Path(directory), new, path, content, as_json)


def _write(directory: Path, job: str, path: str, content: bytes, as_json: bool) -> None:
    """Writes the config file of the working tree, and says what comes next."""
    top, git_dir = git_place(directory)
    if top == git_dir:
        raise UsageError("a bare repository has no working tree", hint="run this in a checkout")
    (top / path).write_bytes(content)
    if as_json:
        emit({"job": job, "file": path})
    else:
        click.echo(f"job {job} is in {path}; change it as you like, commit it, then: cit run {job}")


def faults_of(found: Mapping[str, bytes]) -> list[str]:
    """Every fault of config files, one line each; files that are no config are not looked at."""
    faults: list[str] = []
    if cit_paths(found):
        faults += _faults(lambda: read_cit(found))
    if team_paths(found):
        faults += _faults(lambda: read_team(found))
    return faults


def _cells(config: CitToml, name: str) -> list[dict[str, str]]:
    try:
        return [one.cell for one in resolve(config, name, parameters={})]
    except UsageError:
        # only to be extended, or a parameter without a default: nothing can be expanded yet
        return []


def _faults(read: Callable[[], object]) -> list[str]:
    try:
        read()
    except BadConfig as error:
        return list(error.faults) or [error.message]
    return []
