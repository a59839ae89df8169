"""`cit verify`: checks every record of builds anew: its signature, its grammar, the rules of a build's life."""

from __future__ import annotations

from pathlib import Path

import click

from citgit.model.build import Build, Entry
from citgit.programs.find import builds, find_build
from citgit.programs.reach import reach
from citgit.programs.show import record_line
from citgit.programs.wording import coloured, document, emit, label, plain, word
from citgit.wiring.clone import open_clone


@click.command("verify", epilog="Example: cit verify --all")
@click.argument("build", nargs=-1)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--all", "everything", is_flag=True, help="every build, archived ones too")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per build, and one per alarm")
@click.pass_context
def command(ctx: click.Context, build: tuple[str, ...], directory: str, everything: bool, as_json: bool) -> None:
    """Checks the records of builds (my latest, if none is named), and the refs of the state repository.

    A void record that its author signed well is shown, and is no fault. The exit status is 3 if a signature or
    a record is bad, a chain is broken, or a ref was rewound or vanished.
    """
    clone = open_clone(Path(directory))
    repository = reach(clone)
    if everything:
        chosen = list(builds(repository))
    else:
        chosen = [find_build(repository, clone, text) for text in build or ("",)]
    bad = False
    for one in chosen:
        bad |= is_bad(one)
        _print(one, as_json)
    for alarm in repository.snapshot.alarms:
        bad = True
        if as_json:
            emit({"alarm": alarm})
        else:
            click.echo(f"{click.style('alarm', fg='red')}: {plain(alarm)}")
    ctx.exit(3 if bad else 0)


def is_bad(build: Build) -> bool:
    """Whether a record has a bad signature or breaks the grammar, or the chain is no chain."""
    return bool(build.broken) or any(entry.link.fault for entry in build.entries)


def _print(build: Build, as_json: bool) -> None:
    void = [entry for entry in build.entries if entry.void]
    if as_json:
        emit(document(build) | {"ok": not is_bad(build), "records": len(build.entries), "void": _voids(void)})
        return
    verdict = click.style("BAD ", fg="red") if is_bad(build) else click.style("good", fg="green")
    counts = f"{len(build.entries)} records, {len(void)} void"
    click.echo(f"{verdict}  {label(build)}  {coloured(word(build))}  {counts}")
    if build.broken or build.unsupported:
        click.echo(f"      {plain(build.broken or build.unsupported)}")
    for entry in void:
        click.echo(f"      {record_line(entry)}")


def _voids(entries: list[Entry]) -> list[dict[str, str]]:
    return [{"oid": one.link.oid, "void": one.void, "fault": one.link.fault} for one in entries]
