"""`cit log`: what a build printed; where its log is not on this machine, what its result kept of it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import click

from citgit.errors import NodeAway, NoServe, NotFound, UsageError
from citgit.model.build import Build
from citgit.model.policy import PolicyView
from citgit.model.record import FirstError
from citgit.programs import complete
from citgit.programs.find import find_build, title
from citgit.programs.log_follow import Over, again
from citgit.programs.log_place import open_log, pause, where
from citgit.programs.log_tree import print_tree
from citgit.programs.reach import reach
from citgit.programs.test_words import change_lines, changed
from citgit.programs.waiting import waiting
from citgit.programs.wording import emit, error_place, plain
from citgit.wiring import logs
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.logs import Line, LogNode, LogSource, visible

_COUNT = 20


@click.command("log", epilog="Example: cit log check@main --failed")
@click.argument("build", default="", shell_complete=complete.builds)
@click.argument("component", default="")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("-f", "--follow", is_flag=True, help="go on until the build is over")
@click.option("--times", is_flag=True, help="seconds since the start before each line")
@click.option("--failed", is_flag=True, help="only the first error and what surrounds it, else the end")
@click.option("--grep", "pattern", default="", help="only the lines that match a regular expression")
@click.option("--first", default=0, type=click.IntRange(min=0), metavar="N", help="only the first N lines")
@click.option("--last", default=0, type=click.IntRange(min=0), metavar="N", help="only the last N lines")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per line of the log")
def command(
    build: str, component: str, directory: str, follow: bool, times: bool, failed: bool, pattern: str, first: int,
    last: int, as_json: bool,
) -> None:  # fmt: skip
    """Prints what a build printed; if it has components, their tree, or the output of one COMPONENT.

    "." is the command itself, without its components.
    """
    if follow and failed:
        raise UsageError("--follow and --failed do not go together", hint="leave one of them out")
    wanted = _pattern(pattern)
    clone = open_clone(Path(directory))
    repository = reach(clone)
    found = find_build(repository, clone, build)
    if follow:
        found = _until_there(clone, found)
    over = Over(clone, found) if follow else None
    source = _source(clone, repository.snapshot.policies.tip, found, over)
    if source and not (component or follow or failed or wanted or first or last):
        nodes = source.nodes()
        if len(nodes) > 1:
            print_tree(nodes, plain(title(found)), clone.state.clock.now() * 1000, as_json=as_json)
            return
    if failed:
        for words in change_lines(changed(repository, found)):
            click.echo(words, err=True)
    lines = _chosen(clone, found, source, component, over, failed=failed, last=last, everywhere=bool(wanted))
    lines = (line for line in lines if wanted is None or wanted.search(line.text))
    try:
        for line in itertools.islice(lines, first or None):
            _print(line, times, as_json)
    except NodeAway as error:
        if over is None or not over.build.result:
            raise
        click.echo(f"the build is over, and the rest of its log is out of reach: {plain(error.message)}", err=True)
        for line in _kept(over.build, component):
            _print(line, times, as_json)


def _chosen(
    clone: Clone, build: Build, source: LogSource | None, component: str, over: Over | None, *, failed: bool, last: int,
    everywhere: bool,
) -> Iterable[Line]:  # fmt: skip
    """The lines that are asked for, before any --grep; with `over`, those that come until then."""
    path = "" if component == "." else component
    if failed:
        return _failed(build, source)
    if source is None:
        return _kept(build, component)
    if over and not component:
        return _marked(_waiting(clone, source, logs.watch(source, over)))
    if over:
        return logs.follow(source, path, over, lambda: pause(clone, source))
    if last:
        return logs.tail(source, path, last)
    return _everywhere(source, source.nodes()) if everywhere and not component else logs.read(source, path)


def _pattern(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UsageError(f"not a regular expression: {pattern!r}: {error}", hint="escape it with \\") from None


def _kept(build: Build, component: str) -> Iterator[Line]:
    """The lines that the result kept, with a word to people about where the others are."""
    place = where(build)
    if build.result is None:
        if not place:
            raise NotFound(
                f"build {build.id} has printed nothing: it is {build.outcome.value if build.outcome else build.state}",
                hint=f"cit why {build.id}" if build.outcome else f"cit log -f {build.id}",
            )
        state = "its log is at " + plain(place)
        raise NotFound(f"no output of build {build.id} is here: {state}", hint=f"cit log -f {build.id}")
    if component:
        raise NotFound(f"component {component!r} is not on this machine", hint=f"the log is at {plain(place)}")
    click.echo(f"the last lines; the whole log is at {plain(place or 'no place that is known')}", err=True)
    yield from _lines(build.result.log.tail)


def _failed(build: Build, source: LogSource | None) -> Iterable[Line]:
    error = build.result.first_error if build.result else None
    if source and source.index(""):
        # of a long log the result knows the beginning and the end; all of it was looked at when it was packed
        from citgit.wiring.packing import first_error

        error = first_error(source) or error
    if error:
        return _error(error)
    return logs.tail(source, "", _COUNT) if source else _kept(build, "")


def _error(error: FirstError) -> Iterator[Line]:
    if place := error_place(error):
        click.echo(f"first error at {plain(place)}", err=True)
    yield from _lines(error.context or (error.message,))


def _lines(texts: Iterable[str]) -> Iterator[Line]:
    return (Line(0, "", text) for text in texts)


def _everywhere(source: LogSource, nodes: Iterable[LogNode]) -> Iterator[Line]:
    """The lines of all components, each with the name of its component before it."""
    return _marked((node.path, line) for node in nodes if not node.stream for line in _lines_of(source, node.path))


def _lines_of(source: LogSource, path: str) -> Iterator[Line]:
    try:
        yield from logs.read(source, path)
    except NotFound as error:
        # the build writes its parts itself: one that is damaged hides no other
        click.echo(plain(f"{path or '.'}: {error.message}"), err=True)


def _marked(lines: Iterable[tuple[str, Line]]) -> Iterator[Line]:
    return (replace(line, text=f"{plain(path)}: {line.text}") if path else line for path, line in lines)


def _waiting(clone: Clone, source: LogSource, steps: Iterable[tuple[str, Line] | None]) -> Iterator[tuple[str, Line]]:
    for step in steps:
        if step is None:
            pause(clone, source)
        else:
            yield step


def _print(line: Line, times: bool, as_json: bool) -> None:
    if as_json:
        emit({"time_ms": line.time_ms, "stream": line.stream, "text": line.text, "cut": line.cut, "late": line.late})
        return
    text = ("[…] " if line.late else "") + visible(line.text) + (f" [{line.cut} bytes cut off]" if line.cut else "")
    click.echo((f"{line.time_ms / 1000:9.3f}  " if times and line.stream else "") + text)


def _until_there(clone: Clone, build: Build) -> Build:
    """Waits until the build has a place for its log, or is over."""
    while not build.is_final and not where(build) and not build.broken and not build.unsupported:
        clone.state.clock.sleep(0.5)
        build = again(clone, build)
    return build


def _source(clone: Clone, policy: PolicyView, build: Build, over: Over | None) -> LogSource | None:
    """The log, wherever it can be read; None, with a word to people, if nowhere. A follower waits for a node."""
    while True:
        try:
            with waiting("reading from the node"):
                return open_log(clone, policy, build, over.wait if over else lambda error: False)
        except (NotFound, NodeAway, NoServe) as error:
            if over is None or build.is_final:
                click.echo(plain(error.message), err=True)
                return None
            if not over.wait(error):
                return None
