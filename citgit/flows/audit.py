"""What `cit verify` finds beyond builds: agents' chains, archives, refs that nobody can judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from citgit.errors import CitError, NotFound, NotYet
from citgit.flows.archive import disputes
from citgit.flows.builds import Repository
from citgit.flows.chains import read_chain
from citgit.flows.folders import listed, tip_in
from citgit.flows.layout import archive_commits, archive_fault
from citgit.model.build import Build
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


def audit(repository: Repository) -> Iterator[Found]:
    """Every agent's chain, lock, grant and archive, commit by commit."""
    checks = {Kind.AGENT: _side, Kind.LOCK: _side, Kind.GRANT: _side, Kind.ARCHIVE: _archive}
    for ref, tip in sorted(repository.snapshot.tips.items()):
        place = repository.state.refs.parse(ref)
        if place is None or place.kind not in checks:
            continue
        try:
            yield checks[place.kind](repository, ref, tip)
        except NotFound as error:
            yield Found(ref, 0, error.message, partial=True)
        except CitError as error:
            yield Found(ref, 0, error.message)
    for build in disputes(repository):
        yield Found(
            build.ref, len(build.entries), "its ref and the archive show two ends: somebody who signed one lied"
        )


def _side(repository: Repository, ref: str, tip: str) -> Found:
    place = repository.state.refs.parse(ref)
    links = read_chain(repository.state, tip)
    for parent, link in zip([None, *links], links, strict=False):
        fault = side_fault(repository.snapshot.policies, ref, place, parent, link) if place else None
        if fault:
            return Found(ref, len(links), f"record {link.oid[:12]}: {fault.words}")
    return Found(ref, len(links))


def _archive(repository: Repository, ref: str, tip: str) -> Found:
    place = repository.state.refs.parse(ref)
    count = 0
    for link, before in archive_commits(repository.state, tip):
        count += 1
        fault = "" if link.key else link.fault
        if place and (fault := fault or archive_fault(repository.state, repository, place, link, before)):
            return Found(ref, count, f"commit {link.oid[:12]}: {fault}")
    return Found(ref, count)
