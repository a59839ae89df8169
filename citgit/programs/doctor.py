"""`cit doctor`: looks for what is wrong here and at the host; `--mend` mends what is safe to mend."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import click

from citgit.errors import CitError
from citgit.flows.audit import unjudged
from citgit.flows.builds import Repository
from citgit.flows.freshness import silent
from citgit.flows.moving import is_left
from citgit.flows.poll import poll
from citgit.flows.restore import doubts, evidence
from citgit.programs.doctor_host import Finding, hook, probe
from citgit.programs.wording import many
from citgit.wiring.clone import Clone, open_clone, setting
from citgit.wiring.hosts import channel_trial, own_state

STALE = 60
"""Seconds after which a lock that nobody removed belongs to a process that is gone."""


RESTORED = (
    "the host was restored from a backup, or somebody rewrote it. This clone keeps what it saw, and nothing that went "
    "away is believed: ask an admin; after a restore, they run 'cit restore'"
)
FROZEN = (
    "the worker or its network is down (others take over), or the host shows an old state: ask a colleague what "
    "'cit status --all' says, and compare 'cit policy show'"
)


@click.command("doctor", epilog="Example: cit doctor --mend")
@click.option("-C", "directory", default=".", help="the checkout")
@click.option("--mend", is_flag=True, help="remove locks that a killed git left")
@click.option("--probe", "probing", is_flag=True, help="try what the host allows, with refs that mean nothing")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per finding")
@click.pass_context
def command(ctx: click.Context, directory: str, mend: bool, probing: bool, as_json: bool) -> None:
    """Looks for what is wrong here and at the host; exit 1 if something is."""
    clone = open_clone(Path(directory))
    findings = [*_setup(clone), *_locks(clone, mend=mend), *hook(clone), *_host(clone)]
    findings += probe(clone) if probing else ()
    for finding in findings:
        if as_json:
            click.echo(json.dumps({"version": 1, **finding._asdict()}))
        else:
            click.echo(f"{'ok' if finding.ok else 'WRONG':>6}  {finding.what}")
            if finding.hint and not finding.ok:
                click.echo(f"        {finding.hint}")
    ctx.exit(0 if all(finding.ok for finding in findings) else 1)


def _setup(clone: Clone) -> Iterator[Finding]:
    key = clone.key
    yield Finding(bool(key and (key.exists() or key.with_name(key.name + ".pub").exists())), f"signing key {key}",
                  "run 'cit init'")  # fmt: skip
    yield Finding(
        bool(clone.state.pinned), f"pinned root policy {clone.state.pinned[:16] or '(none)'}", "run 'cit init'"
    )
    waiting = clone.journal.entries()
    yield Finding(
        not waiting,
        f"{many(len(waiting), 'record')} kept here, to be pushed",
        "'cit run' pushes them when the host is back",
    )
    state = Path(clone.url)
    if state.is_dir():
        synced = setting(state / ".git" if (state / ".git").is_dir() else state, "core.fsync")
        yield Finding(
            "all" in synced or "reference" in synced,
            f"core.fsync is {synced or 'the default of git'} at the state repository",
            f"git -C {clone.url} config core.fsync all   (without it a power cut can lose acknowledged records)",
        )
    else:
        yield Finding(True, f"durability at {clone.state.remote.url} cannot be seen from here")


def _locks(clone: Clone, *, mend: bool) -> Iterator[Finding]:
    state = Path(clone.url)
    refs = (state / ".git" if (state / ".git").is_dir() else state) / "refs"
    if not refs.is_dir():
        return
    stale = [path for path in refs.rglob("*.lock") if time.time() - path.stat().st_mtime > STALE]
    for path in stale:
        if mend:
            path.unlink(missing_ok=True)
        yield Finding(mend, f"stale lock {path}" + (": removed" if mend else ""), "cit doctor --mend removes it")
    if not stale:
        yield Finding(True, "no stale locks")


def _host(clone: Clone) -> Iterator[Finding]:
    try:
        snapshot = poll(clone.state)
    except CitError as error:
        yield Finding(False, f"state at {clone.state.remote.url}: {error.message}", error.hint)
        return
    tip = snapshot.policies.tip
    yield Finding(
        not tip.hold, f"policy {tip.version} by {tip.actor}",
        "it holds all claims until an admin lifts that: cit restore --release",
    )  # fmt: skip
    if channel := channel_trial(clone.git_dir, clone.url, clone.state.refs.root):
        yield Finding(True, f"{clone.state.remote.url}: {channel}")
    if clone.url != str(clone.repository) and is_left(clone.state, own_state(clone.repository, clone.state.refs.root)):
        yield Finding(False, f"the state is in this repository, {clone.state.remote.url} has none",
                      "'cit init' moves it there")  # fmt: skip
        return
    for doubt in doubts(clone.state, snapshot, set()):
        yield Finding(False, doubt, "no worker claims: the host may be an old copy; an admin runs 'cit restore'")
    for name, seen in sorted(evidence(clone.state).items()):
        yield Finding(True, f"evidence of before a restore: {name} was at {seen[:12]}")
    for alarm in snapshot.alarms:
        yield Finding(False, alarm, RESTORED)
    repository = Repository(clone.state, snapshot)
    for words in silent(repository, clone.state.clock.now()):
        yield Finding(False, words, FROZEN)
    for found in unjudged(repository):
        yield Finding(False, f"{found.ref} cannot be judged: {found.fault}", "'cit verify' shows what can")
    for build in repository.active():
        if build.broken or build.unsupported:
            yield Finding(
                False, f"build {build.id}: {build.broken or build.unsupported}", "a maintainer repairs the ref"
            )
