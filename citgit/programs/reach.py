"""Reaches the state repository for a verb: what waits here goes out; without the host, what is remembered counts."""

from __future__ import annotations

import contextlib

import click

from citgit.errors import RemoteAway
from citgit.flows.builds import Repository
from citgit.flows.freshness import otherwise, silent
from citgit.flows.moving import is_left
from citgit.flows.poll import poll, remembered
from citgit.flows.restore import push_back
from citgit.flows.state import Snapshot
from citgit.flows.writing import resend
from citgit.interfaces import Answer, Entrusted, Pushed
from citgit.programs.waiting import waiting
from citgit.programs.wording import plain
from citgit.wiring.clone import Clone
from citgit.wiring.hosts import own_state

MOST_ALARMS = 5
"""Alarms that a reading verb prints; `cit doctor` and `cit verify` print all."""

_TOLD: set[str] = set()


def reach(clone: Clone) -> Repository:
    """The repository as the host has it; as it is remembered, with a word to the person, while the host is away.

    Records that were signed here while it was away are pushed first, and the person is told what came of them.
    Raises NotFound, Refused.
    """
    unsent = clone.journal.entries()
    try:
        with waiting(f"asking {clone.state.remote.url}"):
            snapshot = poll(clone.state)
    except RemoteAway as error:
        click.echo(f"the host is away, this is what is remembered: {error.message}", err=True)
        if unsent:
            kept_here(unsent)
        return Repository(clone.state, remembered(clone.state, unsent))
    if snapshot.restored:
        # an admin restored the host: what this clone had seen goes back
        with waiting("giving back what the host lost"):
            given = push_back(clone.state, snapshot).given
        for ref in given:
            click.echo(f"the host was restored from a backup: gave back {ref.rpartition('/')[2]}", err=True)
        snapshot = poll(clone.state)
    _warn(clone, snapshot)
    if not unsent:
        return Repository(clone.state, snapshot)
    with waiting(f"pushing what was kept here to {clone.state.remote.url}"):
        sent = list(resend(clone.state, clone.journal))
    for entry, pushed in sent:
        click.echo(_told(entry, pushed), err=True)
    return Repository(clone.state, poll(clone.state))


def kept_here(unsent: list[Entrusted]) -> None:
    """Tells how much waits for the host."""
    click.echo(f"{_counted(unsent)} kept here, to be pushed by the next cit command that reaches it", err=True)


def _warn(clone: Clone, snapshot: Snapshot) -> None:
    """Tells of refs that went back or away, of holders who fell silent and of writers who had seen more: each once.

    A frozen host, or one that shows others something else, looks like the last two.
    """
    if snapshot.alarms and _is_here_still(clone):
        url = clone.state.remote.url
        click.echo(f"note: {url} has no state, and this repository has one: 'cit init' moves it there", err=True)
        click.echo(f"hint: if {url} had one before, it lost it; 'cit doctor' tells what is missed", err=True)
        return
    repository = Repository(clone.state, snapshot)
    quiet = silent(repository, clone.state.clock.now())
    lines = [f"alarm: {words}" for words in (*snapshot.alarms, *otherwise(repository))]
    lines += [f"note: {words}" for words in quiet]
    fresh = [line for line in lines if line.rpartition(" for ")[0] not in _TOLD and line not in _TOLD]
    _TOLD.update(part for line in lines for part in (line, line.rpartition(" for ")[0]) if part)
    for line in fresh[:MOST_ALARMS]:
        click.echo(plain(line), err=True)
    if len(fresh) > MOST_ALARMS:
        click.echo(f"alarm: and {len(fresh) - MOST_ALARMS} more", err=True)
    if fresh:
        click.echo("hint: 'cit doctor' says what to do", err=True)


def _is_here_still(clone: Clone) -> bool:
    """Whether the repository got an origin, and its state has not moved there."""
    if clone.url == str(clone.repository):
        return False
    with contextlib.suppress(RemoteAway):
        return is_left(clone.state, own_state(clone.repository, clone.state.refs.root))
    return False


def _counted(unsent: list[Entrusted]) -> str:
    return f"1 record ({unsent[0].kind}) is" if len(unsent) == 1 else f"{len(unsent)} records are"


def _told(entry: Entrusted, pushed: Pushed) -> str:
    what = f"{entry.kind} of {entry.ref.rpartition('/')[2]}, kept here"
    match pushed.answer:
        case Answer.DONE:
            return f"{what}: pushed now"
        case Answer.STALE:
            return f"{what}: came too late, the host has gone on without it"
        case Answer.DENIED:
            return f"{what}: refused by the host: {pushed.message.strip()[-300:]}"
        case Answer.UNKNOWN:
            return f"{what}: no answer yet, still kept"
