"""`cit stats`: what jobs need and how much agents are used, for planning; extracted from results."""

from __future__ import annotations

from pathlib import Path

import click

from citgit.flows.builds import Repository
from citgit.flows.compare import ask
from citgit.model.units import rounded_size
from citgit.programs.find import builds
from citgit.programs.reach import reach
from citgit.programs.wording import emit, plain, span
from citgit.rules.ids import month_of, months_back
from citgit.rules.statistics import Load, Needs, share, statistics
from citgit.wiring.clone import open_clone


@click.command("stats", epilog="Example: cit stats --months 3 --json")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--months", default=1, type=click.IntRange(1, 1200), help="this month and those before it (default 1)")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per job and per agent")
def command(directory: str, months: int, as_json: bool) -> None:
    """Tells what jobs need and how much agents are used.

    Per job: how often it passes, how long it waits and takes, cpu, memory, disk; medians, and what 95 % stay within.
    Per agent: how many builds it ran, and for how much of the time.
    """
    clone = open_clone(Path(directory))
    repository = reach(clone)
    wanted = months_back(clone.state.clock.now(), months)
    if not repository.snapshot.away:
        repository = Repository(clone.state, ask(clone.state, repository.snapshot, *wanted))
    found = statistics(build for build in builds(repository) if month_of(build.id) in wanted)
    seconds = max(1, found.last - found.first)
    if as_json:
        for name, needs in sorted(found.jobs.items()):
            emit({"job": name, **_document(needs)})
        for name, load in sorted(found.agents.items()):
            emit({"agent": name, "builds": load.builds, "busy_ms": load.busy, "of_ms": seconds * 1000})
        return
    _table(
        [("job", "builds", "passed", "waits", "takes", "cpu", "memory", "disk")]
        + [_row(name, needs) for name, needs in sorted(found.jobs.items())]
    )
    click.echo()
    _table(
        [("agent", "builds", "busy", "in use")]
        + [_load(name, load, seconds) for name, load in sorted(found.agents.items())]
    )
    if not found.jobs:
        click.echo("no builds in that time", err=True)


def _document(needs: Needs) -> dict[str, object]:
    figures = {
        "wall_ms": needs.wall, "cpu_ms": needs.cpu, "max_rss_kib": needs.memory, "disk_bytes": needs.disk,
        "waited_ms": needs.waited,
    }  # fmt: skip
    return {
        "builds": needs.builds, "ended": needs.ended, "passed": needs.passed,
        **{name: {"median": share(values, 0.5), "p95": share(values, 0.95)} for name, values in figures.items()},
    }  # fmt: skip


def _row(name: str, needs: Needs) -> tuple[str, ...]:
    rate = f"{round(100 * needs.passed / needs.ended)} %" if needs.ended else "-"
    return (
        plain(name), str(needs.builds), rate, _times(needs.waited), _times(needs.wall), _times(needs.cpu),
        rounded_size(share(needs.memory, 0.95) * 1024), rounded_size(share(needs.disk, 0.95)),
    )  # fmt: skip


def _times(values: list[int]) -> str:
    """The median, and what 95 % stay within."""
    return f"{span(share(values, 0.5) / 1000)} ({span(share(values, 0.95) / 1000)})" if values else "-"


def _load(name: str, load: Load, seconds: int) -> tuple[str, ...]:
    return plain(name), str(load.builds), span(load.busy / 1000), f"{load.busy / 10 / seconds:.1f} %"


def _table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(line if number else click.style(line, bold=True))
