"""`cit tidy`: removes what finished builds left here once it is old; packs logs, and the repositories that are ours."""

from __future__ import annotations

from pathlib import Path

import click

from citgit.errors import CitError, UsageError
from citgit.model.units import parse_size, rounded_size
from citgit.programs.find import find_build
from citgit.programs.reach import reach
from citgit.programs.waiting import waiting
from citgit.programs.wording import emit, plain
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.upkeep import (
    SystemClock,
    dangling,
    homes,
    leftovers,
    pack_logs,
    remove,
    repositories,
    tidied,
    unpacked,
)

_REMOVE_S = 600.0


@click.command("tidy", epilog="Example: cit tidy --cap '20 GiB' --dry-run")
@click.option("-C", "directory", default=".", help="a checkout whose repositories to tidy too")
@click.option("--home", default="", help="one worker's files; default: those of all my workers here")
@click.option("--url", default="", help="a state repository on this machine to tidy too")
@click.option("--days", type=click.IntRange(min=0), help="for how long files stay; default: as their jobs say")
@click.option("--cap", default="", help="how much may stay, for each worker; the oldest goes first")
@click.option("--pack", "packing", is_flag=True, help="only pack logs and repositories, remove nothing")
@click.option("--logs", "only_logs", is_flag=True, help="only pack logs")
@click.option(
    "--workspace", "build", default="", help="only the workspace that this BUILD left, on the node that has it"
)
@click.option("--dry-run", is_flag=True, help="only tell what would go")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per thing, then the total")
def command(
    directory: str, home: str, url: str, days: int | None, cap: str, packing: bool, only_logs: bool, build: str,
    dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Removes workspaces, logs and artifacts of finished builds on this machine; packs logs and repositories.

    Only what this user's own workers left, and only once it is older than the job's keep.days, or beyond --cap.
    What runs is never touched, and a worker may run meanwhile. Records are not removed.
    """
    out = _Out(as_json, dry_run)
    if build:
        if home or url or days is not None or cap or packing or only_logs or dry_run:
            raise UsageError("--workspace removes one alone, at once", hint="leave out the other options")
        _workspace(directory, build, out)
        return
    chosen = [Path(home)] if home else homes()
    if home and not (Path(home) / "attempts").is_dir():
        raise UsageError(f"no worker's files in {home!r}", hint="name the folder that 'cit worker --home' got")
    clone = None if home else _clone(directory)
    most = parse_size(cap) if cap else None
    for place in chosen:
        if not packing and not only_logs:
            _files(place, days, most, out)
        _logs(place, out)
    for repository in repositories(chosen, clone, url) if not only_logs else ():
        with waiting(f"packing {repository}"):
            found, now = tidied(repository, dry_run=dry_run)
        if now or (dry_run and found.is_due):
            freed = max(0, found.size - now.size) if now else 0
            what = f"{found.loose} loose objects, {found.packs} packs, {found.refs} loose refs"
            out.say("repository", repository, freed, f"packed: {what}")
    out.total()


class _Out:
    """Tells what went, and adds it up."""

    def __init__(self, as_json: bool, dry_run: bool) -> None:
        self._as_json, self.dry = as_json, dry_run
        self._freed = 0

    def say(self, kind: str, path: Path, size: int, why: str) -> None:
        """One thing that went, or would go."""
        self._freed += size
        if self._as_json:
            emit({"kind": kind, "path": str(path), "bytes": size, "why": why, "dry_run": self.dry})
        else:
            click.echo(f"{kind:<10}  {rounded_size(size):>9}  {plain(path)}  ({plain(why)})")

    def total(self) -> None:
        """What it comes to."""
        if self._as_json:
            emit({"kind": "total", "bytes": self._freed, "dry_run": self.dry})
        else:
            click.echo(f"{rounded_size(self._freed)} {'would be' if self.dry else ''} freed".replace("  ", " "))


def _workspace(directory: str, build: str, out: _Out) -> None:
    """Has the node remove a workspace. Raises NotFound, NotYet, Refused, NodeAway."""
    from citgit.wiring.nodes import Cleaned, far  # slow to load

    clone = open_clone(Path(directory))
    repository = reach(clone)
    found = find_build(repository, clone, build)
    there = far(clone, repository.snapshot.policies.tip, found)
    with there.call("clean") as call:
        out.say("workspace", Path(there.host, found.id), call.hear(Cleaned, _REMOVE_S).freed, "asked for")


def _files(home: Path, days: int | None, cap: int | None, out: _Out) -> None:
    for one in leftovers(home, SystemClock().now(), days=days, cap=cap):
        if out.dry or remove(one):
            out.say(one.kind, one.path, one.size, one.why)
    for link in () if out.dry else dangling(home):
        out.say("link", link, 0, "its workspace is gone")


def _clone(directory: str) -> Clone | None:
    try:
        return open_clone(Path(directory))
    except CitError:
        return None


def _logs(home: Path, out: _Out) -> None:
    for log, freed in ((log, 0) for log in unpacked(home)) if out.dry else pack_logs(home):
        out.say("log", log, freed, "packed")
