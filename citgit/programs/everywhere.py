"""The builds of all of a person's state repositories together, each asked at once; none waits for one that is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from citgit.errors import CitError, NotFound
from citgit.flows.builds import Repository
from citgit.flows.poll import poll, remembered
from citgit.model.build import Build
from citgit.programs.find import newest
from citgit.programs.wording import plain, span
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.known import known_clones, started

PATIENCE_S = 5.0
"""For how long one host may keep everybody waiting; then what is remembered of it is shown."""


@dataclass(slots=True)
class Place:
    """A checkout, and what came of asking its host."""

    path: Path
    clone: Clone | None = None
    builds: list[Build] = field(default_factory=list)
    note: str = ""
    answered: threading.Event = field(default_factory=threading.Event)


def everywhere(count: int, *, everybody: bool) -> list[Place]:
    """The newest builds of each state repository that this user has a checkout of, one checkout for each.

    Raises NotFound if no checkout is known.
    """
    places: dict[str, Place] = {}
    for path in known_clones():
        place = Place(path)
        try:
            place.clone = open_clone(path)
        except CitError as error:
            place.note = error.message
        places.setdefault(place.clone.url if place.clone else str(path), place)
    if not places:
        raise NotFound("no checkout is known here yet", hint="run 'cit init' in one, or name it with -C")
    asked = [place for place in places.values() if place.clone]
    for place in asked:
        threading.Thread(target=_ask, args=(place, count, everybody), daemon=True).start()
    end = time.monotonic() + PATIENCE_S
    for place in asked:
        if not place.answered.wait(max(0.0, end - time.monotonic())):
            _remember(place, f"no answer within {PATIENCE_S:g} s", count, everybody)
    return list(places.values())


def _ask(place: Place, count: int, everybody: bool) -> None:
    assert place.clone is not None
    try:
        found = Repository(place.clone.state, poll(place.clone.state))
        builds = newest(found, place.clone, count, everybody=everybody)
    except (CitError, OSError) as error:
        _remember(place, str(error), count, everybody)
    else:
        place.builds = builds
    finally:
        place.answered.set()


def _remember(place: Place, why: str, count: int, everybody: bool) -> None:
    """What is known without the host, read anew: whoever asks may be at it still."""
    try:
        clone = open_clone(place.path)
        found = Repository(clone.state, remembered(clone.state, clone.journal.entries()))
        place.builds = newest(found, clone, count, everybody=everybody)
        place.note = f"this is what is remembered: {why}"
    except CitError as error:
        place.note = f"{why}; {error.message}"


def tell_notes(places: Sequence[Place]) -> None:
    """A word about each host that did not answer."""
    for place in places:
        if place.note:
            click.echo(f"{plain(place.path)}: {plain(place.note)}", err=True)


def print_started(count: int, now: int, *, as_json: bool) -> None:
    """The builds that were asked for on this machine, from the list that is kept here; no host is asked."""
    from citgit.programs.wording import builtins, emit

    listed = started()[:count]
    for one in listed:
        if as_json:
            emit(builtins(one))
        else:
            where = plain(Path(one.clone).name)
            what = plain(f"{one.job}@{one.branch}")
            click.echo(f"{one.build}  {what}  {one.commit[:10]}  {where}  {one.answer}  {span(now - one.time)} ago")
    if not listed and not as_json:
        click.echo("nothing was asked for on this machine yet", err=True)
