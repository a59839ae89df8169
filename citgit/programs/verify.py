"""`cit verify`: checks every record of builds anew: its signature, its grammar, the rules of a build's life."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from citgit.flows.audit import Found, audit, every, unjudged
from citgit.flows.builds import Repository
from citgit.flows.compare import ask_all
from citgit.flows.restore import doubts
from citgit.model.build import Build, Entry
from citgit.programs import complete
from citgit.programs.find import find_build
from citgit.programs.reach import reach
from citgit.programs.show import record_line
from citgit.programs.wording import coloured, document, emit, label, plain, word
from citgit.wiring.clone import Clone, open_clone


@click.command("verify", epilog="Example: cit verify --all")
@click.argument("build", nargs=-1, shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--all", "everything", is_flag=True, help="every build, archived ones too")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per build, and one per alarm")
@click.pass_context
def command(ctx: click.Context, build: tuple[str, ...], directory: str, everything: bool, as_json: bool) -> None:
    """Checks the records of builds (my latest, if none is named), and the refs of the state repository.

    A..B means all builds from A to B, in the order of their ids. With --all: every build, archived ones too, the
    archives' files, the agents' beats. Without the host, what was fetched before is checked.

    The exit status is 3 if a record was forged (a bad signature, a wrong place, an actor who may not), a chain is
    broken, a ref was rewound or vanished, or an archive's files lie. What a later policy made void is shown, and is
    no fault: its writer could not know.
    """
    clone = open_clone(Path(directory))
    repository = reach(clone)
    whole = everything or any(".." in text for text in build)
    if whole and not repository.snapshot.away:
        repository = Repository(clone.state, ask_all(clone.state, repository.snapshot))
    if everything:
        chosen = every(repository)
    else:
        chosen = (one for text in build or ("",) for one in _named(repository, clone, text))
    bad = False
    for one in _counted(chosen) if everything and sys.stderr.isatty() else chosen:
        forged = repository.forged(one)
        bad |= bool(one.broken or forged)
        _print(one, forged, as_json)
    for found in [*unjudged(repository), *(audit(repository) if everything else ())]:
        bad |= bool(found.fault) and not found.partial
        _print_ref(found, as_json)
    snapshot = repository.snapshot
    for alarm in (*snapshot.alarms, *doubts(clone.state, snapshot, set())):
        bad = True
        if as_json:
            emit({"alarm": alarm})
        else:
            click.echo(f"{click.style('alarm', fg='red')}: {plain(alarm)}")
    ctx.exit(3 if bad else 0)


def _named(repository: Repository, clone: Clone, text: str) -> Iterator[Build]:
    """The build that the text means, or all of a range. Raises NotFound."""
    first, dots, last = text.partition("..")
    if not dots:
        yield find_build(repository, clone, text)
        return
    low, high = sorted(find_build(repository, clone, end).id for end in (first, last))
    yield from (one for one in every(repository) if low <= one.id <= high)


def _counted(chosen: Iterator[Build]) -> Iterator[Build]:
    """The builds, with a count for whoever waits at a terminal."""
    count = 0
    for count, one in enumerate(chosen, 1):
        if count % 100 == 0:
            click.echo(f"\r{count} builds", nl=False, err=True)
        yield one
    click.echo(f"\r{count} builds", err=True)


def _print(build: Build, forged: list[Entry], as_json: bool) -> None:
    void = [entry for entry in build.entries if entry.void]
    ok = not (build.broken or forged)
    if as_json:
        emit(document(build) | {"ok": ok, "records": len(build.entries), "void": _voids(void, forged)})
        return
    verdict = click.style("good", fg="green") if ok else click.style("BAD ", fg="red")
    counts = f"{len(build.entries)} records, {len(void)} void" + (f", {len(forged)} forged" if forged else "")
    click.echo(f"{verdict}  {label(build)}  {coloured(word(build))}  {counts}")
    if build.broken or build.unsupported:
        click.echo(f"      {plain(build.broken or build.unsupported)}")
    for entry in void:
        click.echo(f"      {record_line(entry)}")


def _print_ref(found: Found, as_json: bool) -> None:
    if as_json:
        ok = not found.fault or found.partial
        emit({"ref": found.ref, "ok": ok, "commits": found.commits, "fault": found.fault, "partial": found.partial})
        return
    if not found.fault:
        click.echo(f"{click.style('good', fg='green')}  {plain(found.ref)}  {found.commits} commits")
        return
    verdict = click.style("part", fg="yellow") if found.partial else click.style("BAD ", fg="red")
    click.echo(f"{verdict}  {plain(found.ref)}\n      {plain(found.fault)}")


def _voids(entries: list[Entry], forged: list[Entry]) -> list[dict[str, str | bool]]:
    lies = {one.link.oid for one in forged}
    return [
        {"oid": one.link.oid, "void": one.void, "fault": one.link.fault, "forged": one.link.oid in lies}
        for one in entries
    ]
