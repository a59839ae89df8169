"""`cit show`: one build: what was asked, what came of it, and its records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from citgit.flows.private import is_hidden
from citgit.model.build import Build, Entry
from citgit.model.policy import PolicyView
from citgit.model.record import Request, Result
from citgit.model.units import size_text
from citgit.programs import complete
from citgit.programs.find import find_build
from citgit.programs.log_place import scp_line, where
from citgit.programs.reach import reach
from citgit.programs.test_words import changed, test_lines
from citgit.programs.wording import (
    agent,
    builtins,
    coloured,
    document,
    emit,
    error_line,
    label,
    plain,
    span,
    status_of,
    took,
    word,
)
from citgit.rules.test_changes import Changes
from citgit.wiring.clone import open_clone

_SKEW = 60
"""Seconds by which clocks may differ without a word."""


@click.command("show", epilog="Example: cit show check@main")
@click.argument("build", default="", shell_complete=complete.builds)
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def command(ctx: click.Context, build: str, directory: str, as_json: bool) -> None:
    """Shows one build; the exit status is that of 'cit status BUILD'."""
    clone = open_clone(Path(directory))
    repository = reach(clone)
    found = find_build(repository, clone, build)
    if as_json:
        emit(
            document(found)
            | {
                "request": builtins(found.request),
                "result": builtins(found.result),
                "hidden": is_hidden(found),
                "tests": asdict(changed(repository, found)),
                "records": [record_document(entry) for entry in found.entries],
            }
        )
    else:
        for line in _lines(
            found, clone.state.clock.now(), changed(repository, found), repository.snapshot.policies.tip
        ):
            click.echo(line)
    ctx.exit(status_of(found))


def _lines(build: Build, now: int, found: Changes, policy: PolicyView) -> Iterator[str]:
    yield label(build)
    reason = build.result.reason if build.result else build.broken or build.unsupported
    yield _field("state", coloured(word(build)) + (f": {plain(reason)}" if reason else ""))
    ran = took(build, now)
    by = agent(build) + (f", {span(ran)}" if ran is not None else "")
    if by:
        yield _field("agent", plain(by))
    yield _field("pool", build.pool)
    yield _field("asked by", f"{plain(build.owner)}, {span(now - build.requested)} ago")
    if is_hidden(build):
        yield _field("private", "only its readers see the rest, and no key here is one of theirs")
        yield _field("", f"its owner or a maintainer lets you read it: cit grant {build.id} NAME")
    if build.request and build.request.commit:
        yield from _request(build.request)
    if build.result:
        yield from _result(build, build.result, found)
    if place := where(build):
        yield _field("files", plain(place.removesuffix("/log")))
        if line := scp_line(policy, build, "artifacts", "."):
            yield _field("", f"with an account there: {line}")
    yield "records:"
    before = 0
    for entry in build.entries:
        yield "  " + record_line(entry) + _skew(entry, before, now)
        before = entry.link.record.head.time if entry.link.record else before


def _skew(entry: Entry, before: int, now: int) -> str:
    """That the record's time cannot be true beside its parent's or ours: nothing is judged by it, people read it."""
    time = entry.link.record.head.time if entry.link.record else now
    if time < before - _SKEW:
        return f"  (clocks disagree: {span(before - time)} before the record above)"
    return f"  (clocks disagree: {span(time - now)} from now)" if time > now + _SKEW else ""


def _request(request: Request) -> Iterator[str]:
    yield _field("command", plain(" ".join(request.definition.command)))
    yield _field("config", f"{request.config.commit[:12]} on {plain(request.config.branch)}")
    for source in request.sources:
        yield _field("source", plain(f"{source.commit} {source.repo} ({source.ref}) at {source.at}"))
    for key, value in sorted(request.parameters.items()):
        yield _field("parameter", plain(f"{key} = {value}"))
    if request.cause.message:
        yield _field("message", plain(request.cause.message))


def _result(build: Build, result: Result, found: Changes) -> Iterator[str]:
    used = result.usage
    yield _field(
        "used",
        f"{span(used.wall_ms / 1000)} wall, {span(used.cpu_ms / 1000)} cpu, {used.max_rss_kib} KiB memory",
    )
    for name, words in test_lines(build, found):
        yield _field(name, words)
    if result.first_error:
        yield _field("first error", plain(error_line(result.first_error)))
    for artifact in result.artifacts:
        yield _field("artifact", plain(f"{artifact.path}  {size_text(artifact.size)}  sha256 {artifact.sha256}"))
    if result.log.truncated:
        yield _field("log", "cut off at the limit")
    yield _field("assurance", result.assurance.value)


def _field(name: str, value: str) -> str:
    return f"{name + ':' if name else '':<13}{value}"


def record_line(entry: Entry) -> str:
    """A record in the chain on one line: when, what, who, and why it is void if it is."""
    record = entry.link.record
    void = click.style(f"  void: {plain(entry.void)}", fg="yellow") if entry.void else ""
    if record is None:
        return f"{entry.link.oid[:12]}  {plain(entry.link.unsupported or 'unreadable')}{void}"
    moment = datetime.fromtimestamp(min(max(record.head.time, 0), 253402300799), UTC)
    said = getattr(record.body, "message", "") or getattr(record.body, "reason", "")
    words = f"{moment:%Y-%m-%d %H:%M:%S}Z  {record.head.type:<9} {plain(record.head.actor)}"
    return f"{entry.link.oid[:12]}  {words}{'  ' + plain(said) if said else ''}{void}"


def record_document(entry: Entry) -> dict[str, object]:
    """A record for programs: the document as it stands in the bytes, and the verdict."""
    link = entry.link
    return {
        "oid": link.oid, "key": link.key, "void": entry.void, "fault": link.fault, "unsupported": link.unsupported,
        "record": link.record.document if link.record else None,
    }  # fmt: skip
