"""What `import citgit` offers: a clone's builds asked for, read and verified, as functions with typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from citgit.errors import CitError, RemoteAway
from citgit.flows import poll as looks
from citgit.flows.audit import audit, every, unjudged
from citgit.flows.builds import Repository
from citgit.flows.compare import ask_all
from citgit.flows.enqueue import Change, Wish, enqueue_person, need_pool
from citgit.flows.state import Snapshot
from citgit.flows.writing import complain, push, remember, resend
from citgit.interfaces import Answer
from citgit.model.build import Build
from citgit.model.job import Value
from citgit.model.record import Outcome
from citgit.programs.find import find_build
from citgit.wiring.checkout import revision
from citgit.wiring.clone import Clone, open_clone

__all__ = ["Asked", "Build", "Ci", "CitError", "Fault", "Outcome", "open"]


class Asked(Struct, frozen=True):
    """A build that was asked for: its id and pool; `kept`: signed, and pushed once the host answers."""

    build: str
    pool: str
    kept: bool


class Fault(Struct, frozen=True):
    """Something that `verify` found: the ref, and what is wrong there, in words."""

    ref: str
    words: str


class Ci:
    """A clone and the state repository that it belongs to. Each call looks at the host anew, and falls back on memory.

    All methods raise CitError: NotFound, Refused, TryAgain and so on; its `status` and `hint` are those of `cit`.
    """

    def __init__(self, clone: Clone) -> None:
        self._clone = clone

    def builds(self, *, archived: bool = False) -> Iterator[Build]:
        """The active builds, greatest id first; `archived`: those of the archives too, all months."""
        repository = self._look()
        if not archived:
            yield from sorted(repository.active(), key=lambda one: one.id, reverse=True)
            return
        snapshot = repository.snapshot
        whole = snapshot if snapshot.away else ask_all(self._clone.state, snapshot)
        yield from every(Repository(self._clone.state, whole))

    def show(self, build: str = "") -> Build:
        """One build, named as on the command line: a part of its id, JOB, JOB@BRANCH, a commit; "": my latest."""
        return find_build(self._look(), self._clone, build)

    def enqueue(
        self, *jobs: str, ref: str = "HEAD", pool: str = "", on: str = "", message: str = "",
        parameters: Mapping[str, Value] | None = None,
    ) -> list[Asked]:  # fmt: skip
        """Asks for builds of a revision of the clone: of these jobs, or of all of its cit.toml."""
        clone, snapshot = self._clone, self._look().snapshot
        if pool:
            need_pool(snapshot, pool)
        commit, branch = revision(clone.git_dir, ref)
        wish = Wish(jobs=jobs, parameters=dict(parameters or {}), pool=pool, on=on, message=message)
        change = Change(url=str(clone.repository), branch=branch, commit=commit)
        drafts = enqueue_person(clone.state, clone.actor(), snapshot, clone.doors, change, wish)
        answers = push(clone.state, clone.actor(), drafts)
        remember(clone.state, answers)
        for one in answers:
            if one.answer is not Answer.UNKNOWN:
                complain(one)
        return [
            Asked(one.update.ref.split("/")[-1], one.update.ref.split("/")[-2], one.answer is Answer.UNKNOWN)
            for one in answers
        ]

    def verify(self, *, archives: bool = False) -> list[Fault]:
        """What is wrong with the records of all builds: forged, void as written, broken; [] if nothing is.

        `archives`: the archived builds, the archives' files and the agents' beats too.
        """
        repository = self._look()
        if archives and not repository.snapshot.away:
            repository = Repository(self._clone.state, ask_all(self._clone.state, repository.snapshot))
        found = [Fault("", alarm) for alarm in repository.snapshot.alarms]
        for build in every(repository) if archives else repository.active():
            found += [Fault(build.ref, build.broken)] if build.broken else []
            found += [Fault(build.ref, f"record {one.link.oid}: {one.void}") for one in repository.forged(build)]
        told = [*unjudged(repository), *(audit(repository) if archives else ())]
        return found + [Fault(one.ref, one.fault) for one in told if one.fault and not one.partial]

    def _look(self) -> Repository:
        state, journal = self._clone.state, self._clone.journal
        waiting = journal.entries()
        try:
            snapshot: Snapshot = looks.poll(state)
        except RemoteAway:
            return Repository(state, looks.remembered(state, waiting))
        if waiting:
            resend(state, journal)
            snapshot = looks.poll(state)
        return Repository(state, snapshot)


def open(directory: str | Path = ".") -> Ci:
    """The clone that `directory` is in. Raises CitError: it is in none."""
    return Ci(open_clone(Path(directory)))
