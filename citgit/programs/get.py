"""`cit get`: copies what a build kept, each file checked against the digest in its result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from citgit.errors import NodeAway, NoServe, NotFound, NotYet, UsageError
from citgit.flows.builds import Repository
from citgit.model.build import Build
from citgit.model.globs import matches
from citgit.model.plan import Input
from citgit.model.record import Artifact
from citgit.model.units import rounded_size
from citgit.programs import complete
from citgit.programs.find import find_build, title
from citgit.programs.log_place import scp_line, where
from citgit.programs.reach import reach
from citgit.programs.waiting import waiting
from citgit.programs.wording import emit, many, plain
from citgit.wiring.clone import Clone, open_clone

if TYPE_CHECKING:
    from citgit.wiring.nodes import Far


@click.command("get", epilog="Example: cit get check@main 'dist/*.tar.gz' --to downloads")
@click.argument("build", default="", shell_complete=complete.builds)
@click.argument("pattern", nargs=-1)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--to", "target", default=".", help="the directory to copy to; files keep their paths below it")
@click.option("--force", is_flag=True, help="write over files that are there")
@click.option("--list", "only_list", is_flag=True, help="list what the build kept, copy nothing")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per file")
def command(
    build: str, pattern: tuple[str, ...], directory: str, target: str, force: bool, only_list: bool, as_json: bool
) -> None:
    """Copies the artifacts of BUILD that match a PATTERN (all, if none is given) below the directory --to."""
    clone = open_clone(Path(directory))
    repository = reach(clone)
    found = find_build(repository, clone, build)
    chosen = _chosen(found, pattern)
    if not only_list:
        there = [one.path for one in chosen if (Path(target) / one.path).exists()]
        if there and not force:
            raise UsageError(
                f"{many(len(there), 'file')} already there, such as {plain(str(Path(target) / there[0]))!r}",
                hint="--force writes over them; --to names another directory",
            )
        _copy(clone, repository, found, chosen, Path(target))
    for one in chosen:
        if as_json:
            emit({"build": found.id, "path": one.path, "size": one.size, "sha256": one.sha256})
        elif only_list:
            click.echo(plain(f"{one.path}  {rounded_size(one.size)}  sha256 {one.sha256}"))
        else:
            click.echo(plain(str(Path(target) / one.path)))


def _chosen(build: Build, patterns: Sequence[str]) -> list[Artifact]:
    """The artifacts that were asked for. Raises NotYet, NotFound."""
    if not build.is_final:
        raise NotYet(f"build {build.id} is {build.state}: its artifacts are kept when it ends", hint="cit status -f")
    kept = build.result.artifacts if build.result else ()
    chosen = [one for one in kept if not patterns or matches(patterns, one.path)]
    if not kept:
        raise NotFound(f"{plain(title(build))} kept no artifacts", hint="keep.artifacts in cit.toml says which to keep")
    if not chosen:
        raise NotFound(
            f"no artifact of {plain(title(build))} matches {' '.join(patterns)!a}",
            hint="'cit get BUILD --list' lists all",
        )
    return chosen


def _copy(clone: Clone, repository: Repository, build: Build, chosen: Sequence[Artifact], target: Path) -> None:
    """Copies from this machine what it has, else from the node that does."""
    from citgit.wiring.nodes import bring_kept, far  # slow to load

    result = build.result
    assert result is not None
    files = [
        Input(
            label=plain(title(build)), claim=result.claim, node=result.environment.get("node", ""), path=one.path,
            sha256=one.sha256, size=one.size, executable=one.executable,
        )
        for one in chosen
    ]  # fmt: skip
    target.mkdir(parents=True, exist_ok=True)
    _, _, log = where(build).partition(":")
    # HOME/attempts/CLAIM/log
    home = Path(log).parents[2] if log.startswith("/") and log.count("/") > 3 else None
    try:
        with waiting(f"copying {many(len(files), 'file')}"):
            bring_kept(target, files, home)
    except NotFound:
        try:
            _fetch(far(clone, repository.snapshot.policies.tip, build, result.claim), target, files)
        except (NotFound, NodeAway, NoServe) as error:
            line = scp_line(repository.snapshot.policies.tip, build, f"artifacts/{chosen[0].path}", str(target))
            raise type(error)(
                f"the artifacts are not on this machine: {error.message}",
                hint=f"{error.hint}; with an account there: {line}" if line else error.hint,
            ) from None


def _fetch(there: Far, target: Path, files: Sequence[Input]) -> None:
    done, whole = 0, sum(one.size for one in files)
    with waiting(f"from {there.host or there.agent}", size=True) as count:

        def more(size: int) -> None:
            nonlocal done
            done += size
            count(done, whole)

        there.fetch(target, files, more)
