"""What `cit verify` finds beyond builds: agents' chains, archives, refs that nobody can judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from citgit.errors import CitError, NotFound, NotYet
from citgit.flows.archive import disputes
from citgit.flows.builds import Repository
from citgit.flows.chains import read_chain
from citgit.flows.folders import listed, tip_in, tip_of
from citgit.flows.layout import archive_commits, difference, difference_fault
from citgit.interfaces import Oid
from citgit.model.build import Build, Link
from citgit.model.names import Kind
from citgit.rules.side_records import side_fault


class Found(NamedTuple):
    """One thing that was checked: the ref, how many commits, what is wrong ("" if nothing), whether it is missing.

    `partial` says that a part of the history is not here: that is no fault, and no proof either.
    """

    ref: str
    commits: int
    fault: str = ""
    partial: bool = False


def every(repository: Repository) -> Iterator[Build]:
    """Every build that can be judged, active ones first; `unjudged` and `audit` tell of the others."""
    seen = set()
    for build in sorted(repository.active(), key=lambda one: one.id, reverse=True):
        seen.add(build.id)
        yield build
    state = repository.state
    for ref, archive in sorted(repository.snapshot.of(state.refs, Kind.ARCHIVE).items(), reverse=True):
        pool = ref.split("/")[-2]
        for build_id in listed(state, archive):
            try:
                found = repository.build(state.refs.build(pool, build_id), tip_in(state, archive, build_id))
            except CitError:
                continue
            if found.id not in seen:
                yield found


def unjudged(repository: Repository) -> Iterator[Found]:
    """The active builds that cannot be judged, which `Repository.active` leaves out."""
    for ref, tip in sorted(repository.snapshot.of(repository.state.refs, Kind.BUILD).items()):
        try:
            repository.build(ref, tip)
        except NotYet as error:
            yield Found(ref, 0, f"{error.message}; {error.hint}" if error.hint else error.message)
        except NotFound as error:
            yield Found(ref, 0, error.message, partial=True)
        except CitError as error:
            yield Found(ref, 0, error.message)


class Step(NamedTuple):
    """One commit of an archive, and the one before it; or what keeps the archive from being read further."""

    ref: str
    link: Link | None = None
    before: Oid | None = None
    end: Found | None = None


def steps(repository: Repository) -> Iterator[Step]:
    """Every commit of every archive, an archive's newest first."""
    for ref, tip in sorted(repository.snapshot.of(repository.state.refs, Kind.ARCHIVE).items(), reverse=True):
        try:
            for link, before in archive_commits(repository.state, tip):
                yield Step(ref, link, before)
        except CitError as error:
            yield Step(ref, end=_unread(ref, error))


def look(repository: Repository, step: Step) -> tuple[list[Build], Found]:
    """The builds that a commit of an archive adds, newest id first, and what is wrong with it.

    Builds that have a ref still, or whose entry was put right later, are left out: they are told elsewhere.
    """
    state, place = repository.state, repository.state.refs.parse(step.ref)
    if step.link is None or place is None:
        return [], step.end or Found(step.ref, 0)
    builds: list[Build] = []
    try:
        found = difference(state, repository, place, step.link, step.before)
        builds = list(_added(repository, step.ref, place.group, found.added))
        fault = ("" if step.link.key else step.link.fault) or difference_fault(state, repository, place, found)
    except CitError as error:
        return builds, _unread(step.ref, error)
    return builds, Found(step.ref, 1, f"commit {step.link.oid[:12]}: {fault}" if fault else "")


def summed(looks: Iterable[Found]) -> list[Found]:
    """What was found at the commits of each archive, as one: as many as are good before the first that is not."""
    sums: dict[str, Found] = {}
    for one in looks:
        before = sums.get(one.ref, Found(one.ref, 0))
        if not before.fault:
            sums[one.ref] = Found(one.ref, before.commits + one.commits, one.fault, one.partial)
    return sorted(sums.values())


def audit(repository: Repository) -> Iterator[Found]:
    """Every agent's chain, lock, grant and archive, commit by commit."""
    yield from beside(repository)
    yield from summed(look(repository, step)[1] for step in steps(repository))


def beside(repository: Repository) -> Iterator[Found]:
    """Every agent's chain, lock and grant, and the builds that have two ends."""
    for ref, tip in sorted(repository.snapshot.tips.items()):
        place = repository.state.refs.parse(ref)
        if place is None or place.kind not in (Kind.AGENT, Kind.LOCK, Kind.GRANT):
            continue
        try:
            yield _side(repository, ref, tip)
        except CitError as error:
            yield _unread(ref, error)
    for build in disputes(repository):
        yield Found(
            build.ref, len(build.entries),
            "its ref and the archive show two ends: somebody who signed one lied; 'cit restore' settles it",
        )  # fmt: skip


def _unread(ref: str, error: CitError) -> Found:
    return Found(ref, 0, error.message, partial=isinstance(error, NotFound))


def _added(repository: Repository, ref: str, pool: str, added: Mapping[str, Oid]) -> Iterator[Build]:
    state = repository.state
    for build in sorted(added, reverse=True):
        at, tip = state.refs.build(pool, build), tip_of(state, added[build])
        if at in repository.snapshot.tips or tip_in(state, repository.snapshot.tips[ref], build) != tip:
            continue
        with suppress(CitError):
            yield repository.build(at, tip)


def _side(repository: Repository, ref: str, tip: str) -> Found:
    place = repository.state.refs.parse(ref)
    links = read_chain(repository.state, tip)
    for parent, link in zip([None, *links], links, strict=False):
        fault = side_fault(repository.snapshot.policies, ref, place, parent, link) if place else None
        if fault:
            return Found(ref, len(links), f"record {link.oid[:12]}: {fault.words}")
    return Found(ref, len(links))
