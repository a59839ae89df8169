"""`cit log`: what a build printed; where its log is not on this machine, what its result kept of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from citgit.errors import NotFound, UsageError
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.model.build import Build
from citgit.model.record import FirstError, Progress
from citgit.programs import complete
from citgit.programs.find import find_build, title
from citgit.programs.reach import reach
from citgit.programs.wording import coloured, emit, plain, span
from citgit.wiring import logs
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.logs import Line, Node, visible

_COUNT = 20


@click.command("log", epilog="Example: cit log check@main --failed")
@click.argument("build", default="", shell_complete=complete.builds)
@click.argument("component", default="")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("-f", "--follow", is_flag=True, help="go on until the build is over")
@click.option("--times", is_flag=True, help="seconds since the start before each line")
@click.option("--failed", is_flag=True, help="only the first error and what surrounds it, else the end")
@click.option("--grep", "pattern", default="", help="only the lines that match a regular expression")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per line of the log")
def command(
    build: str, component: str, directory: str, follow: bool, times: bool, failed: bool, pattern: str, as_json: bool
) -> None:
    """Prints what a build printed; if it has components, their tree, or the output of one COMPONENT.

    "." is the command itself, without its components.
    """
    if follow and failed:
        raise UsageError("--follow and --failed do not go together", hint="leave one of them out")
    wanted = _pattern(pattern)
    clone = open_clone(Path(directory))
    found = find_build(reach(clone), clone, build)
    if follow:
        found = _until_there(clone, found)
    root = local_log(found)
    if failed:
        lines = _failed(found, root)
    elif root and not follow and component == "" and len(nodes := logs.tree(root)) > 1:
        if wanted is None:
            _print_tree(nodes, plain(title(found)), as_json)
            return
        lines = _everywhere(nodes)
    elif root and follow and not component:
        lines = _marked(_waiting(clone, logs.watch(root, _Over(clone, found))))
    elif root:
        at = logs.component(root, component.removeprefix("."))
        lines = logs.follow(at, _Over(clone, found), lambda: clone.state.clock.sleep(0.2)) if follow else logs.read(at)
    else:
        lines = _kept(found, component)
    for line in lines:
        if wanted is None or wanted.search(line.text):
            _print(line, times, as_json)


def where(build: Build) -> str:
    """ "NODE:/path" of the log of the last attempt that says so; "" if none does."""
    if build.result and build.result.log.where:
        return build.result.log.where
    for entry in reversed(build.entries):
        body = entry.link.record.body if entry.link.record and not entry.void else None
        if isinstance(body, Progress) and body.where:
            return f"{body.where}/log"
    return ""


def local_log(build: Build) -> Path | None:
    """The log's directory if it is on this machine."""
    path = Path(where(build).partition(":")[2] or "/nonexistent")
    try:
        return path if path.is_absolute() and (path / "component.json").is_file() else None
    except (OSError, ValueError):
        return None


def _pattern(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UsageError(f"not a regular expression: {pattern!r}: {error}", hint="escape it with \\") from None


def _kept(build: Build, component: str) -> Iterator[Line]:
    """The lines that the result kept, with a word to people about where the others are."""
    place = where(build)
    if build.result is None:
        state = "its log is at " + plain(place) if place else f"it is {build.state}"
        raise NotFound(f"no output of build {build.id} is here: {state}", hint=f"cit log -f {build.id}")
    if component:
        raise NotFound(f"component {component!r} is not on this machine", hint=f"the log is at {plain(place)}")
    click.echo(f"the last lines; the whole log is at {plain(place or 'no place that is known')}", err=True)
    yield from _lines(build.result.log.tail)


def _failed(build: Build, root: Path | None) -> Iterable[Line]:
    error = build.result.first_error if build.result else None
    if error:
        return _error(error)
    return logs.tail(root, _COUNT) if root else _kept(build, "")


def _error(error: FirstError) -> Iterator[Line]:
    place = ": ".join(part for part in (error.component, f"{error.file}:{error.line}" if error.file else "") if part)
    if place:
        click.echo(f"first error at {plain(place)}", err=True)
    yield from _lines(error.context or (error.message,))


def _lines(texts: Iterable[str]) -> Iterator[Line]:
    return (Line(0, "", text) for text in texts)


def _everywhere(nodes: Sequence[Node]) -> Iterator[Line]:
    """The lines of all components, each with the name of its component before it."""
    return _marked((node.path, line) for node in nodes for line in logs.read(node.place))


def _marked(lines: Iterable[tuple[str, Line]]) -> Iterator[Line]:
    return (replace(line, text=f"{plain(path)}: {line.text}") if path else line for path, line in lines)


def _waiting(clone: Clone, steps: Iterable[tuple[str, Line] | None]) -> Iterator[tuple[str, Line]]:
    for step in steps:
        if step is None:
            clone.state.clock.sleep(0.2)
        else:
            yield step


def _print_tree(nodes: Sequence[Node], name: str, as_json: bool) -> None:
    """Each component with its state and how long it took; branches show what is a part of what."""
    rows = []
    for at, node in enumerate(nodes):
        if as_json:
            emit({
                "component": node.path, "started": node.started, "ended": node.ended, "ms": node.ms,
                "status": node.exit.status, "signal": node.exit.signal,
            })  # fmt: skip
        else:
            state = "failed" if node.failed else "passed" if node.ended else "running"
            rows.append((_branch(nodes, at) or name, state, span(node.ms / 1000) if node.ended else ""))
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, state, took in rows:
        click.echo(f"{name:<{width}}  {coloured(state, 7)}  {took}".rstrip())
    if not as_json:
        red = logs.failures([node for node in nodes if node.path])
        click.echo(f"'cit log BUILD {plain(red[0].path) if red else 'COMPONENT'}' prints one of them", err=True)


def _branch(nodes: Sequence[Node], at: int) -> str:
    """The component's name, behind the lines that lead to it."""
    names = nodes[at].path.split("/") if nodes[at].path else []
    lines = ""
    for depth in range(1, len(names) + 1):
        above = "/".join(names[: depth - 1])
        more = any(_is_sibling(node.path, above, depth) for node in nodes[at + 1 :])
        if depth == len(names):
            lines += "├─ " if more else "└─ "
        else:
            lines += "│  " if more else "   "
    return lines + plain(names[-1] if names else "")


def _is_sibling(path: str, above: str, depth: int) -> bool:
    return path.count("/") == depth - 1 and bool(path) and path.rpartition("/")[0] == above


def _print(line: Line, times: bool, as_json: bool) -> None:
    if as_json:
        emit({"time_ms": line.time_ms, "stream": line.stream, "text": line.text, "cut": line.cut})
        return
    text = visible(line.text) + (f" [{line.cut} bytes cut off]" if line.cut else "")
    click.echo((f"{line.time_ms / 1000:9.3f}  " if times and line.stream else "") + text)


def _again(clone: Clone, build: Build) -> Build:
    return Repository(clone.state, poll(clone.state)).find(build.id) or build


def _until_there(clone: Clone, build: Build) -> Build:
    """Waits until the build has a place for its log, or is over."""
    while not build.is_final and not where(build) and not build.broken and not build.unsupported:
        clone.state.clock.sleep(0.5)
        build = _again(clone, build)
    # elsewhere: nothing to follow here, so the end of the build is what can be waited for
    while not build.is_final and where(build) and local_log(build) is None:
        clone.state.clock.sleep(1)
        build = _again(clone, build)
    return build


class _Over:
    """Whether the build is over; asks the host at most every two seconds."""

    def __init__(self, clone: Clone, build: Build) -> None:
        self._clone = clone
        self._build = build
        self._asked = clone.state.clock.monotonic()

    def __call__(self) -> bool:
        now = self._clone.state.clock.monotonic()
        if not self._build.is_final and now - self._asked >= 2:
            self._asked = now
            self._build = _again(self._clone, self._build)
        return self._build.is_final
