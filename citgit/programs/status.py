"""`cit status`: lists builds, newest first; of one build the exit status says what came of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from citgit.errors import NotFound, UsageError
from citgit.flows.builds import Repository
from citgit.flows.compare import ask
from citgit.model.build import Build
from citgit.model.names import is_month
from citgit.programs import complete
from citgit.programs.find import find_build, newest, of_commit, passes_of, short, title
from citgit.programs.reach import reach
from citgit.programs.wording import agent, coloured, document, emit, plain, span, status_of, took, word
from citgit.rules.ids import months_back
from citgit.wiring.clone import Clone, NoCheckout, open_clone

_MOST_MONTHS = 240


@click.command("status", epilog="Example: cit status HEAD && echo ready")
@click.argument("build", default="", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--all", "everybody", is_flag=True, help="everybody's builds, not only mine")
@click.option(
    "--everywhere", "merged", is_flag=True, help="of all my state repositories; the default outside of a checkout"
)
@click.option("--started", "kept", is_flag=True, help="what was asked for on this machine, from a list kept here")
@click.option("-f", "--follow", is_flag=True, help="go on, printing what changes: until Ctrl-C, or BUILD is over")
@click.option(
    "--require", multiple=True, metavar="JOB", help="of the commit BUILD: whether JOB passed, for merge gates"
)
@click.option("--since", default="", metavar="YYYY-MM", help="fetch the archives from this month on; else the last two")
@click.option("-n", "count", default=20, type=click.IntRange(min=1), help="how many (default 20)")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per build")
@click.pass_context
def command(
    ctx: click.Context, build: str, directory: str, everybody: bool, merged: bool, kept: bool, follow: bool,
    require: tuple[str, ...],
    since: str, count: int, as_json: bool,
) -> None:  # fmt: skip
    """Lists builds, newest first: mine, or everybody's with --all.

    With BUILD: that one; the exit status is 0 passed, 1 failed, 4 errored or timed out, 5 cancelled,
    superseded or skipped, 75 not over yet. Of a commit: the newest of each of its jobs, and the status is 0 only if
    all passed. With --require only what an agent built by that commit's own config counts, and a job that nobody
    asked for is 75. What --since fetched is remembered: other verbs find it too.

    In a terminal, --follow is a live view: what runs and how far, what waits, agents, what ended.
    """
    if since and not is_month(since):
        raise UsageError(f"not a month: {since!r}", hint="write it as 2026-01")
    if require and (not build or merged or kept or follow or since):
        raise UsageError("--require is about one commit alone", hint="cit status HEAD --require check")
    if (merged or kept) and (build or follow or since or (merged and kept)):
        raise UsageError("--everywhere and --started list, and take no BUILD, --follow or --since", hint="leave it out")
    if kept:
        from citgit.programs.everywhere import print_started

        return print_started(count, int(time.time()), as_json=as_json)
    if merged:
        return _everywhere(count, everybody, as_json)
    try:
        clone = open_clone(Path(directory))
    except NoCheckout:
        if build or follow or since or directory != ".":
            raise
        return _everywhere(count, everybody, as_json)
    if follow and not as_json and sys.stdout.isatty():
        from citgit.programs.board import watch

        listed = watch(
            clone, lambda: _listed(clone, build, count, since, everybody=everybody),
            lambda found: bool(build) and all(one.is_final for one in found),
        )  # fmt: skip
        _print(clone, listed, as_json)
        ctx.exit(worst(listed))
    if require:
        ctx.exit(_gate(clone, build, require, as_json=as_json))
    told: dict[str, str] = {}
    while True:
        _, listed = _listed(clone, build, count, since, everybody=everybody)
        _print(clone, [one for one in listed if told.get(one.id) != word(one)], as_json)
        if build and (all(one.is_final for one in listed) or not follow):
            ctx.exit(worst(listed))
        if not listed and not told and not as_json:
            more = "" if everybody else " of yours: 'cit status --all' lists everybody's"
            click.echo(f"no builds{more}", err=True)
        if not follow:
            return
        told |= {one.id: word(one) for one in listed}
        build = listed[0].id if len(listed) == 1 and build else build
        clone.state.clock.sleep(1)


def _everywhere(count: int, everybody: bool, as_json: bool) -> None:
    from citgit.programs.everywhere import everywhere, tell_notes

    places = everywhere(count, everybody=everybody)
    tell_notes(places)
    found = [(build, place) for place in places for build in place.builds]
    found.sort(key=lambda one: (one[0].requested, one[0].id), reverse=True)
    if as_json:
        for build, place in found[:count]:
            emit(document(build) | {"checkout": str(place.path), "url": place.clone.url if place.clone else ""})
        return
    now = int(time.time())
    _table([(plain(place.path.name), *_row(build, now)) for build, place in found[:count]], 4)
    if not found:
        click.echo(
            "no builds" + ("" if everybody else " of yours: 'cit status --everywhere --all' lists everybody's"),
            err=True,
        )


def _gate(clone: Clone, commit: str, require: tuple[str, ...], *, as_json: bool) -> int:
    """Whether these jobs passed at the commit, in a way that a gate may believe; the exit status."""
    passes = passes_of(reach(clone), clone, commit, require)
    _print(clone, passes, as_json)
    missing = _not_there(clone, commit, require, passes) if passes else list(require)
    for job in missing:
        click.echo(f"no agent was asked for {plain(job)!r} at {plain(commit)}", err=True)
    return 75 if missing and worst(passes) == 0 else worst(passes)


def _not_there(clone: Clone, commit: str, require: Sequence[str], passes: Sequence[Build]) -> list[str]:
    """The jobs, and cells of their matrices, that the commit's own config has and no build is of."""
    from citgit.wiring.checkout import config_files
    from citgit.wiring.configs import read_cit, resolve

    there = [(one.request.job, one.request.cell) for one in passes if one.request]
    config = read_cit(config_files(clone.top, commit))
    missing = []
    for job in require:
        try:
            cells = [one.cell for one in resolve(config, job, parameters={})]
        except (NotFound, UsageError):  # no such job, or one that has to be told something
            missing.append(job)
            continue
        missing += [" ".join([job, *map("=".join, cell.items())]) for cell in cells if (job, cell) not in there]
    return missing


def worst(listed: list[Build]) -> int:
    """What all of these mean together: failed before not over before passed."""
    statuses = {status_of(one) for one in listed}
    return min(statuses - {0, 75}, default=75 if 75 in statuses else 0)


def _listed(clone: Clone, build: str, count: int, since: str, *, everybody: bool) -> tuple[Repository, list[Build]]:
    repository = reach(clone)
    if since and not repository.snapshot.away:
        months = [month for month in months_back(clone.state.clock.now(), _MOST_MONTHS) if month >= since]
        repository = Repository(clone.state, ask(clone.state, repository.snapshot, *months))
    if build:
        return repository, of_commit(repository, clone, build) or [find_build(repository, clone, build)]
    return repository, newest(repository, clone, count, everybody=everybody)


def _print(clone: Clone, listed: list[Build], as_json: bool) -> None:
    if as_json:
        for build in listed:
            emit(document(build))
        return
    now = clone.state.clock.now()
    _table([_row(build, now) for build in listed], 3)


def _table(rows: Sequence[tuple[str, ...]], state: int) -> None:
    """Rows in columns; column `state` in its colour."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    for row in rows:
        cells = [
            coloured(cell, width) if column == state else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        click.echo("  ".join([*cells, row[-1]]).rstrip())


def _row(build: Build, now: int) -> tuple[str, ...]:
    request = build.request
    ran = took(build, now)
    return (
        short(build.id),
        plain(title(build)),
        request.commit[:10] if request else "",
        word(build),
        agent(build).removeprefix("agent:"),
        span(ran) if ran is not None else "",
        f"{span(now - build.requested)} ago" if build.requested else "",
    )
