"""`cit verify`: checks every record of builds anew: its signature, its grammar, the rules of a build's life."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from citgit.flows.audit import Found, Step, beside, every, look, steps, summed, unjudged
from citgit.flows.builds import Repository
from citgit.flows.compare import ask_all
from citgit.flows.restore import doubts
from citgit.model.build import Build, Entry
from citgit.programs import complete
from citgit.programs.find import find_build
from citgit.programs.reach import reach
from citgit.programs.show import record_line
from citgit.programs.waiting import waiting
from citgit.programs.wording import coloured, document, emit, json_line, label, many, plain, word
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
    if (everything or any(".." in text for text in build)) and not repository.snapshot.away:
        with waiting("fetching all archives"):
            repository = Repository(clone.state, ask_all(clone.state, repository.snapshot))
    found = list(unjudged(repository))
    if everything:
        rows = _everything(repository, found, as_json)
    else:
        rows = (_row(repository, one, as_json) for text in build or ("",) for one in _named(repository, clone, text))
    bad = False
    with waiting("verifying builds", rows=True) as count:
        for done, row in enumerate(rows, 1):
            bad |= not row.ok
            click.echo(row.text)
            count(done, 0)
    for one in found:
        bad |= bool(one.fault) and not one.partial
        _print_ref(one, as_json)
    snapshot = repository.snapshot
    for alarm in (*snapshot.alarms, *doubts(clone.state, snapshot, set())):
        bad = True
        if as_json:
            emit({"alarm": alarm})
        else:
            click.echo(f"{click.style('alarm', fg='red')}: {plain(alarm)}")
    ctx.exit(3 if bad else 0)


class Row(NamedTuple):
    """What is said of one build, and whether it is good."""

    text: str
    ok: bool


def _everything(repository: Repository, found: list[Found], as_json: bool) -> Iterator[Row]:
    """All builds: those that have a ref, then archive by archive; what was found beside them goes to `found`."""
    from citgit.wiring.spread import spread  # slow to load, and others need no more than one processor

    for build in sorted(repository.active(), key=lambda one: one.id, reverse=True):
        yield _row(repository, build, as_json)

    def looked(step: Step) -> tuple[list[Row], Found]:
        builds, what = look(repository, step)
        return [_row(repository, build, as_json) for build in builds], what

    commits: list[Found] = []
    for rows, what in spread(lambda: steps(repository), looked):
        commits.append(what)
        yield from rows
    found += [*beside(repository), *summed(commits)]


def _named(repository: Repository, clone: Clone, text: str) -> Iterator[Build]:
    """The build that the text means, or all of a range. Raises NotFound."""
    first, dots, last = text.partition("..")
    if not dots:
        yield find_build(repository, clone, text)
        return
    low, high = sorted(find_build(repository, clone, end).id for end in (first, last))
    yield from (one for one in every(repository) if low <= one.id <= high)


def _row(repository: Repository, build: Build, as_json: bool) -> Row:
    forged = repository.forged(build)
    void = [entry for entry in build.entries if entry.void]
    ok = not (build.broken or forged)
    if as_json:
        told = document(build) | {"ok": ok, "records": len(build.entries), "void": _voids(void, forged)}
        return Row(json_line(told), ok)
    verdict = click.style("good", fg="green") if ok else click.style("BAD ", fg="red")
    counts = f"{many(len(build.entries), 'record')}, {len(void)} void" + (f", {len(forged)} forged" if forged else "")
    lines = [f"{verdict}  {label(build)}  {coloured(word(build))}  {counts}"]
    if build.broken or build.unsupported:
        lines.append(f"      {plain(build.broken or build.unsupported)}")
    return Row("\n".join([*lines, *(f"      {record_line(entry)}" for entry in void)]), ok)


def _print_ref(found: Found, as_json: bool) -> None:
    if as_json:
        ok = not found.fault or found.partial
        emit({"ref": found.ref, "ok": ok, "commits": found.commits, "fault": found.fault, "partial": found.partial})
        return
    if not found.fault:
        click.echo(f"{click.style('good', fg='green')}  {plain(found.ref)}  {many(found.commits, 'commit')}")
        return
    verdict = click.style("part", fg="yellow") if found.partial else click.style("BAD ", fg="red")
    click.echo(f"{verdict}  {plain(found.ref)}\n      {plain(found.fault)}")


def _voids(entries: list[Entry], forged: list[Entry]) -> list[dict[str, str | bool]]:
    lies = {one.link.oid for one in forged}
    return [
        {"oid": one.link.oid, "void": one.void, "fault": one.link.fault, "forged": one.link.oid in lies}
        for one in entries
    ]
