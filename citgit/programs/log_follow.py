"""Until when a log is followed: its build's end, asked for beside the reading, so that no line waits for an answer."""

from __future__ import annotations

import contextlib
import threading

import click

from citgit.errors import CitError
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.model.build import Build
from citgit.programs.wording import plain
from citgit.wiring.clone import Clone

_ASK_S = 2.0
_AGAIN_S = 1.0


def again(clone: Clone, build: Build) -> Build:
    """The build as the host has it now. Raises RemoteAway."""
    return Repository(clone.state, poll(clone.state)).find(build.id) or build


class Over:
    """Whether the build is over; asks the host every two seconds, and goes on while that is away."""

    def __init__(self, clone: Clone, build: Build) -> None:
        self._clone, self.build = clone, build
        self._is_over = threading.Event()
        self._told = False
        if build.is_final:
            self._is_over.set()
        else:
            threading.Thread(target=self._look, daemon=True).start()

    def __call__(self) -> bool:
        return self._is_over.is_set()

    def wait(self, error: CitError) -> bool:
        """Waits a little for a node that is away; whether it makes sense to try again."""
        if not self._told:
            self._told = True
            click.echo(f"waiting for the node: {plain(error.message)}", err=True)
        return not self._is_over.wait(_AGAIN_S)

    def _look(self) -> None:
        while not self._is_over.wait(_ASK_S):
            with contextlib.suppress(CitError):
                self.build = again(self._clone, self.build)
                if self.build.is_final:
                    self._is_over.set()
