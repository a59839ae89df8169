"""Follows builds until they are final: their records, and their output where this machine has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from citgit.errors import NotFound, NotYet
from citgit.flows.builds import Repository
from citgit.flows.control import outcome_text
from citgit.flows.poll import poll
from citgit.model.build import Build
from citgit.model.record import Progress, Result
from citgit.programs.wording import status_of
from citgit.rules.judge import promises_of
from citgit.wiring import logs
from citgit.wiring.clone import Clone
from citgit.wiring.logs import Line, LocalLog, visible


class Follower:
    """Watches the builds at some refs, and those that they promise."""

    def __init__(self, clone: Clone, refs: list[str], say: Callable[[str, str, str], None]) -> None:
        self.clone = clone
        self.builds: dict[str, Build | None] = {ref.rpartition("/")[2]: None for ref in refs}
        self._say = say
        self._logs: dict[Path, Iterator[tuple[str, Line] | None]] = {}
        self._told: dict[str, str] = {}

    def ids(self) -> list[str]:
        """The builds that are followed."""
        return list(self.builds)

    def refresh(self) -> list[str]:
        """Reads the repository anew; the ids that are followed now."""
        repository = Repository(self.clone.state, poll(self.clone.state))
        for build_id in list(self.builds):
            try:
                build = repository.find(build_id)
            except NotYet:
                continue
            self.builds[build_id] = build
            for promise in promises_of(build) if build else []:
                self.builds.setdefault(promise.id, None)
            if build and build.is_final and self._told.get(build_id) != "final":
                self.output()
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
        """Prints what is new in the logs that this machine has; whether there was any."""
        found = False
        for build in self.builds.values():
            for log in self._places(build):
                found |= self._more(build, log) if build else False
        return found

    def until_final(self) -> int:
        """Waits; the exit status."""
        while True:
            self.refresh()
            self.output()
            if self.done():
                return self.status()
            self.clone.state.clock.sleep(0.5)

    def _places(self, build: Build | None) -> list[Path]:
        for entry in reversed(build.entries) if build else []:
            body = entry.link.record.body if entry.link.record and not entry.void else None
            # of a short build only the result tells where it was
            where = body.log.where if isinstance(body, Result) else ""
            where = f"{body.where}/log" if isinstance(body, Progress) and body.where else where
            if where:
                log = Path(where.partition(":")[2])
                return [log] if log.is_dir() else []
        return []

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
                self._say("output", build.id, (f"{path}: " if path else "") + visible(line.text, colour=False))
        except NotFound:
            # made a moment ago, and not whole yet; or tidied away meanwhile
            self._logs.pop(log)
        return found
