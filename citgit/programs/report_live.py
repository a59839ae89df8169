"""`cit report --serve`: the pages of a report on loopback, made anew as things happen."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import click

from citgit.errors import CitError
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.model.build import Build
from citgit.programs.log_place import local_log
from citgit.rules.pacing import next_pause
from citgit.rules.private import is_private
from citgit.wiring import logs
from citgit.wiring.clone import Clone
from citgit.wiring.pages import Live, Said, Site, World, plain

_FIRST = 1000
"""Lines of a log that a page gets when it begins to follow; more come as they are printed."""

_LINE = 2000


def serve(clone: Clone, site: Site, repository: Repository, world: Callable[[Repository], World], port: int) -> None:
    """Serves until it is interrupted. The host is asked only while somebody looks at a page."""
    follow = Follow()
    follow.running = {build.id: build for build in repository.active() if not build.is_final}
    live = Live(site.out, follow, port)
    click.echo(live.url)
    click.echo("serving this user alone, until interrupted; the address is a secret", err=True)
    pause, tips, said = 0.0, dict(repository.snapshot.tips), ""
    try:
        while True:
            clone.state.clock.sleep(1)
            pause = pause - 1 if live.watched else 0
            if pause > 0 or not live.watched:
                continue
            try:
                repository = Repository(clone.state, poll(clone.state))
                running = [build for build in repository.active() if not build.is_final]
                active = tips != repository.snapshot.tips or bool(running)
                pause = next_pause(pause, repository.snapshot.policies.tip.team.limits, active=active, holding=False)
                if active:
                    follow.running = {build.id: build for build in running}
                    site.render(world(repository))
                    tips = dict(repository.snapshot.tips)
                    live.changed()
                said = ""
            except (CitError, OSError) as error:
                # the next turn may fare better, and whoever reads has the pages as they were
                pause = next_pause(30, repository.snapshot.policies.tip.team.limits, active=False, holding=False)
                said = _tell(str(error), said)
    finally:
        live.close()


def _tell(fault: str, before: str) -> str:
    """Says what went wrong, once."""
    if fault != before:
        click.echo(plain(fault), err=True)
    return fault


class Follow:
    """The lines of running builds whose logs are on this machine; private ones are followed with `cit log -f`."""

    def __init__(self) -> None:
        self.running: dict[str, Build] = {}

    def __call__(self, build: str, stopped: Callable[[], bool]) -> Iterator[Sequence[Said]]:
        """What was printed so far, its end at least, then the lines as they come."""
        found = self.running.get(build)
        if found is None or found.request is None or is_private(found.request):
            return
        root = local_log(found)
        if root is None:
            return
        try:
            steps = logs.watch(logs.LocalLog(root), lambda: stopped() or build not in self.running)
            yield list(deque(map(_said, itertools.takewhile(lambda step: step is not None, steps)), maxlen=_FIRST))
            for step in steps:
                yield [_said(step)] if step else []
        except (CitError, OSError) as error:
            click.echo(f"cannot follow build {build}: {plain(str(error))}", err=True)


def _said(step: tuple[str, logs.Line] | None) -> Said:
    assert step is not None
    path, line = step
    return plain(path), line.time_ms, line.stream, plain(line.text[:_LINE])
