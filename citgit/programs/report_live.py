"""`cit report --serve`: the pages of a report on loopback, made anew as things happen."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from citgit.errors import CitError
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.model.build import Build
from citgit.model.policy import PolicyView
from citgit.programs.log_place import Closes, Waits, local_log, open_log, where
from citgit.rules.pacing import next_pause
from citgit.rules.private import is_private
from citgit.wiring import logs
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.logs import LogSource
from citgit.wiring.pages import Live, Said, Site, World, plain

_FIRST = 1000
"""Lines of a log that a page gets when it begins to follow; more come as they are printed."""

_LINE = 2000
_TRIES = 3
_REST = 20
"""Empty lots after what went wrong: some seconds."""


def serve(clone: Clone, site: Site, repository: Repository, world: Callable[[Repository], World], port: int) -> None:
    """Serves until it is interrupted. The host is asked only while somebody looks at a page."""
    follow = Follow(clone)
    follow.policy = repository.snapshot.policies.tip
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
                    follow.policy = repository.snapshot.policies.tip
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
    """The lines of running builds, from here or from the node that builds; private ones are for `cit log -f`."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self.policy: PolicyView | None = None
        self.running: dict[str, Build] = {}

    def __call__(self, build: str, stopped: Callable[[], bool]) -> Iterator[Sequence[Said] | str]:
        """What was printed so far, its end at least, then the lines as they come; words if they do not."""
        found = self.running.get(build)
        if found is None or found.request is None or is_private(found.request) or not where(found):
            return
        try:
            with self._source(found) as source:
                steps = logs.watch(source, lambda: stopped() or build not in self.running)
                yield list(deque(map(_said, itertools.takewhile(lambda step: step is not None, steps)), maxlen=_FIRST))
                for step in steps:
                    yield [_said(step)] if step else []
                    if step is None and isinstance(source, Waits):
                        source.wait()
        except (CitError, OSError) as error:
            yield f"Its output cannot be followed from here: {plain(str(error))}"
            # whoever follows tries again at the next news, which must not come too soon for a node that is away
            yield from itertools.takewhile(lambda _: build in self.running, itertools.repeat([], _REST))

    @contextmanager
    def _source(self, build: Build) -> Iterator[LogSource]:
        """The log; what it needs of the clone is its own, since each page is followed in a thread."""
        if root := local_log(build):
            yield logs.LocalLog(root)
            return
        tries = iter(range(_TRIES))

        def again(error: CitError) -> bool:
            self._clone.state.clock.sleep(1)
            return build.id in self.running and next(tries, None) is not None

        assert self.policy is not None
        source = open_log(open_clone(self._clone.top), self.policy, build, again)
        try:
            yield source
        finally:
            if isinstance(source, Closes):
                source.close()


def _said(step: tuple[str, logs.Line] | None) -> Said:
    assert step is not None
    path, line = step
    return plain(path), line.time_ms, line.stream, plain(line.text[:_LINE])
