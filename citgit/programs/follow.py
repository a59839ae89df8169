"""Follows builds until they are final: their records, and their output, from this machine or from their nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click

from citgit.errors import NotFound, NotYet
from citgit.flows.builds import Repository
from citgit.flows.control import outcome_text
from citgit.flows.poll import poll
from citgit.model.build import Build
from citgit.model.policy import PolicyView
from citgit.programs.follow_far import FarLog
from citgit.programs.log_place import where
from citgit.programs.wording import agent as holder
from citgit.programs.wording import plain, status_of
from citgit.rules.judge import promises_of
from citgit.wiring import logs
from citgit.wiring.clone import Clone
from citgit.wiring.logs import Line, LocalLog, visible

_ASK_S = 0.5
_LOOK_S = 0.05
_PATIENCE_S = 15.0
"""Seconds for which a node may take to tell the rest of a build that is over."""


class Follower:
    """Watches the builds at some refs, and those that they promise."""

    def __init__(self, clone: Clone, refs: list[str], say: Callable[[str, str, str], None]) -> None:
        self.clone = clone
        self.builds: dict[str, Build | None] = {ref.rpartition("/")[2]: None for ref in refs}
        self._say = say
        self._logs: dict[Path, Iterator[tuple[str, Line] | None]] = {}
        self._far: dict[str, FarLog] = {}
        self._policy: PolicyView | None = None
        self._unread: set[str] = set()
        self._told: dict[str, str] = {}

    def ids(self) -> list[str]:
        """The builds that are followed."""
        return list(self.builds)

    def refresh(self) -> list[str]:
        """Reads the repository anew; the ids that are followed now."""
        repository = Repository(self.clone.state, poll(self.clone.state))
        self._policy = repository.snapshot.policies.tip
        for build_id in list(self.builds):
            try:
                build = repository.find(build_id)
            except NotYet:
                continue
            self.builds[build_id] = build
            for promise in promises_of(build) if build else []:
                self.builds.setdefault(promise.id, None)
            if build and build.is_final and self._told.get(build_id) != "final":
                self._rest(build)
                self._told[build_id] = "final"
                words = build.result.reason if build.result else ""
                job = build.request.job if build.request else ""
                self._say("final", build_id, f"{job} {outcome_text(build)}" + (f": {words}" if words else ""))
        return list(self.builds)

    def done(self) -> bool:
        """Whether all are final."""
        return all(build is not None and build.is_final for build in self.builds.values())

    def status(self) -> int:
        """The worst exit status of all."""
        return max((status_of(build) for build in self.builds.values() if build), default=75)

    def output(self) -> bool:
        """Prints what is new in the logs; whether there was any."""
        found = False
        for build in self.builds.values():
            if build is None or not (place := where(build)):
                continue
            log = Path(place.partition(":")[2])
            if _is_here(log):
                found |= self._more(build, log)
            elif far := self._elsewhere(build, place):
                found |= self._told_by(build, far)
        return found

    def until_final(self) -> int:
        """Waits; the exit status."""
        while True:
            self.refresh()
            if self.done():
                return self.status()
            until = self.clone.state.clock.monotonic() + _ASK_S
            while self.clone.state.clock.monotonic() < until:
                if not self.output():
                    self.clone.state.clock.sleep(_LOOK_S)

    def _elsewhere(self, build: Build, place: str) -> FarLog | None:
        """The log on another node; None if it is a person's machine, which nobody else reads."""
        if place not in self._far and self._policy and holder(build).startswith("agent:"):
            self._far[place] = FarLog(self.clone, self._policy, build, lambda: self._is_final(build.id))
        return self._far.get(place)

    def _is_final(self, build_id: str) -> bool:
        build = self.builds[build_id]
        return build is not None and build.is_final

    def _told_by(self, build: Build, far: FarLog) -> bool:
        found = False
        for path, line in far.lines():
            found = True
            self._line(build, path, line.text)
        if far.fault and build.id not in self._unread:
            self._unread.add(build.id)
            click.echo(plain(f"the output of {build.id} cannot be read now: {far.fault}"), err=True)
        return found

    def _rest(self, build: Build) -> None:
        """What is left to print of a build that is over; the last lines from its result if its node is silent."""
        self.output()
        far = self._far.get(where(build))
        if far is None:
            return
        far.wait(_PATIENCE_S)
        self._told_by(build, far)
        if far.fault and not far.read and build.result and build.result.log.tail:
            click.echo("its last lines, which its result has kept:", err=True)
            for text in build.result.log.tail:
                self._line(build, "", text)

    def _line(self, build: Build, path: str, text: str) -> None:
        self._say("output", build.id, (f"{path}: " if path else "") + visible(text, colour=False))

    def _more(self, build: Build, log: Path) -> bool:
        over = self.builds[build.id]
        lines = self._logs.setdefault(log, logs.watch(LocalLog(log), lambda: bool(over and over.is_final)))
        found = False
        try:
            for one in lines:
                if one is None:
                    break
                path, line = one
                found = True
                self._line(build, path, line.text)
        except NotFound:
            # made a moment ago, and not whole yet; or tidied away meanwhile
            self._logs.pop(log)
        return found


def _is_here(log: Path) -> bool:
    try:
        return log.is_absolute() and log.is_dir()
    except (OSError, ValueError):  # another user's, who lets nobody in
        return False
