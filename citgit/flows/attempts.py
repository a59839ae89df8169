"""The attempts of one worker: which run, which have ended, which were told to end, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from citgit.flows.telling import Event, guarded
from citgit.interfaces import Oid, Workshop
from citgit.model.build import Build
from citgit.model.record import Result


@dataclass(slots=True)
class Attempts:
    """Those of the workshop; `say` is told what is done to them. `begun` are those that this process started."""

    workshop: Workshop
    say: Callable[[Event], None]
    begun: set[Oid] = field(default_factory=set)
    ended: set[Oid] = field(default_factory=set)
    stopped: set[Oid] = field(default_factory=set)

    def running(self) -> dict[Oid, str]:
        """Those whose results are not published: claim to build id."""
        return self.workshop.running()

    def busy(self) -> int:
        """How many of them are not known to have ended."""
        return sum(claim not in self.ended for claim in self.running())

    def poll(self, claim: Oid, build: str) -> Result | None:
        """The result of one that has ended; asking is what captures times and enforces limits."""
        result = guarded(self.say, "poll", lambda: self.workshop.poll(claim), build)
        if result is not None:
            self.ended.add(claim)
        return result

    def finish(self, claim: Oid) -> None:
        """Nobody waits for it any more."""
        self.workshop.finish(claim)
        self.ended.discard(claim)

    def stop(self, claim: Oid, build: str, why: str, kind: str = "stopping", words: str = "") -> None:
        """Tells one to end, once."""
        if claim not in self.stopped:
            self.say(Event(kind, build, words or why))
            self.stopped.add(claim)
            self.workshop.stop(claim, why)

    def stop_all(self, why: str) -> bool:
        """Tells all to end; whether nothing runs any more."""
        for claim, build in self.running().items():
            self.stop(claim, build, why)
            if self.poll(claim, build) is not None:
                self.finish(claim)
        return not self.running()

    def settle(self, find: Callable[[str], Build | None], unwanted: Callable[[Build], str]) -> None:
        """Stops those that nobody waits for; what a stale one found out stays on disk as evidence.

        `unwanted` says why a build is not wanted any more, "" if it is.
        """
        for claim, name in self.running().items():
            build = find(name)
            if build is None:
                continue
            if build.held is None or build.held.claim != claim or build.is_final:
                words = "another claim holds the build, or it is final; the attempt is evidence"
                self.stop(claim, name, "the claim is not current any more", "stale", words)
                if self.poll(claim, name) is not None:
                    self.finish(claim)
            elif why := build.stopping.value if build.stopping else unwanted(build):
                self.stop(claim, name, why)
