"""`cit agent probe`: which nodes can build a job, asked of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from citgit.flows.enqueue import Wish, need_pool, planned
from citgit.model.record import Request
from citgit.programs import complete
from citgit.programs.direct import Build, asked_of
from citgit.programs.probing import need_hosts, probe
from citgit.programs.reach import reach
from citgit.programs.wanted import Wanted, says_what
from citgit.programs.wording import builtins, emit, plain
from citgit.rules.ranking import Answer
from citgit.wiring.asking import SECONDS, way_of
from citgit.wiring.clone import open_clone


@click.command(
    "probe", short_help="ask all nodes whether they can build a job now", epilog="Example: cit agent probe check"
)
@click.argument("job", shell_complete=complete.jobs)
@says_what
@click.option("--seconds", default=SECONDS, help="for how long to wait for a node")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per agent, the best first")
@click.pass_context
def probe_job(ctx: click.Context, job: str, directory: str, wanted: Wanted, seconds: float, as_json: bool) -> None:
    """Asks all agents of the pool over ssh whether they can build a job now; nothing is asked for.

    Cells of a matrix that need the same are asked about once. The exit status is 0 if at least one agent can start
    it, else 1.
    """
    clone = open_clone(Path(directory))
    snapshot = reach(clone).snapshot
    if wanted.pool:
        need_pool(snapshot, wanted.pool)
    wish = Wish(jobs=[job], parameters=wanted.parameters(), pool=wanted.pool)
    team = snapshot.policies.tip.team
    good = False
    for pool, request, cells in _questions(
        planned(clone.state, snapshot, clone.doors, wanted.change(clone), wish), job
    ):
        need_hosts(team, pool)
        answers = probe(team, pool, request, f"person:{clone.person}", way_of(clone), seconds=seconds)
        good = good or any(answer.fits for answer in answers)
        _show(answers, job, cells, as_json)
    ctx.exit(0 if good else 1)


def _questions(builds: Sequence[Build], job: str) -> list[tuple[str, Request, list[str]]]:
    """What to ask whom about a job: the pool, a request, the cells that it stands for.

    A pipeline's other builds come when their time has come; the one that was named is meant.
    """
    found: dict[tuple[str, bytes], tuple[str, Request, list[str]]] = {}
    for root, queue, _ in builds:
        every = [(queue, root), *((one.pool, one.request) for one in root.promises)]
        for pool, request in every:
            if request.job == job:
                cells = found.setdefault(asked_of(request, pool), (pool, request, []))[2]
                cells.append(" ".join(f"{key}={value}" for key, value in sorted(request.cell.items())))
    return list(found.values())


def _show(answers: Sequence[Answer], job: str, cells: Sequence[str], as_json: bool) -> None:
    if as_json:
        for rank, one in enumerate(answers, 1):
            emit({
                "job": job, "cells": [cell for cell in cells if cell], "rank": rank, "agent": one.agent,
                "host": one.host, "fits": one.fits, "away": one.away,
                "free": one.free, "slots": one.slots, "load": one.load, "warm": one.warm,
                "seconds": round(one.seconds, 3), "decisions": builtins(one.decisions),
            })  # fmt: skip
        return
    click.echo(plain(f"{job} {', '.join(cells)}".strip()))
    for one in answers:
        word = "yes" if one.fits else "away" if one.away else "busy" if one.busy else "no"
        about = one.away or f"{one.free}/{one.slots} free, load {one.load:.2f}" + (
            ", has the revision" if one.warm else ""
        )
        click.echo(f"  {one.agent:<16} {word:<5} {one.seconds:5.1f} s  {plain(about)}")
        for lack in one.lacks:
            click.echo(f"  {'':<16}       lacks {plain(lack.check)} (found: {plain(lack.found) or 'nothing'})")
