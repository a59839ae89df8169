"""Every ref and record of a state repository against the rules of the protocol, each with the rule that it breaks.

`flows.audit` says whether anything is wrong; this says where, for whoever writes a program that writes records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from citgit.errors import CitError, NotFound, NotYet
from citgit.flows.archive import disputes
from citgit.flows.audit import every
from citgit.flows.builds import Repository
from citgit.flows.chains import read_chain
from citgit.flows.compare import compare
from citgit.flows.layout import archive_commits, archive_fault
from citgit.flows.state import State
from citgit.interfaces import Oid
from citgit.model.build import Build, Link
from citgit.model.names import Kind, Place
from citgit.rules.place import form_rule, place_rule
from citgit.rules.side_records import Fault, side_fault


class Checked(NamedTuple):
    """One record: the rule that it breaks and how ("" if it obeys).

    `late`: only a policy that came after it makes it void, which its writer could not know.
    """

    link: Link
    rule: str = ""
    words: str = ""
    late: bool = False

    @property
    def ok(self) -> bool:
        """Whether its writer did as the protocol says."""
        return not self.words or self.late


class Verdict(NamedTuple):
    """One ref (or archived build, under the name its ref had): its records, and what is wrong with it as a whole.

    `partial`: a part of it is not here, so nothing is known.
    """

    ref: str
    records: tuple[Checked, ...] = ()
    rule: str = ""
    words: str = ""
    partial: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing in it breaks a rule."""
        return (not self.words or self.partial) and all(one.ok for one in self.records)


def look(state: State) -> tuple[Repository | None, list[Verdict]]:
    """All that the host holds, for a client that has seen nothing before, and what is no ref of the protocol.

    No repository if its policies break a rule: nothing else can be judged then. Raises RemoteAway, NotFound.
    """
    found = state.remote.fetch([state.refs.root])
    wrong = [
        Verdict(ref, rule="name", words="it is no ref of the protocol")
        for ref in sorted(found)
        if state.refs.parse(ref) is None
    ]
    known = {ref: tip for ref, tip in found.items() if state.refs.parse(ref)}
    if state.refs.policy not in known:
        raise NotFound(
            f"{state.remote.url} has no policy", hint=f"its state may be elsewhere than in {state.refs.root}"
        )
    try:
        snapshot = compare(state, dict(known), (state.refs.root,), [], memory={})
    except NotFound as error:
        return None, [*wrong, Verdict(state.refs.policy, words=error.message, partial=True)]
    except CitError as error:
        return None, [*wrong, Verdict(state.refs.policy, rule="policy", words=error.message)]
    wrong += [
        Verdict(ref, rule="archive", words="it holds no archive") for ref in sorted(known) if ref not in snapshot.tips
    ]
    return Repository(state, snapshot), wrong


def verdicts(repository: Repository) -> Iterator[Verdict]:
    """Each ref in the order of its name, then the archived builds, then builds that ended twice."""
    refs, active = repository.state.refs, set()
    for ref, tip in sorted(repository.snapshot.tips.items()):
        if (place := refs.parse(ref)) is not None:
            active.add(ref)
            yield _judged(_CHECKS[place.kind], repository, ref, place, tip)
    for build in every(repository):
        if build.ref not in active:
            yield _build_verdict(repository, build)
    for build in disputes(repository):
        yield Verdict(build.ref, rule="archive", words="ref and archive show two ends: somebody who signed one lied")


_Check = Callable[[Repository, str, Place, Oid], Verdict]


def _judged(check: _Check, repository: Repository, ref: str, place: Place, tip: Oid) -> Verdict:
    try:
        return check(repository, ref, place, tip)
    except NotYet as error:
        return Verdict(ref, rule="policy", words=error.message)
    except NotFound as error:
        return Verdict(ref, words=error.message, partial=True)
    except CitError as error:
        return Verdict(ref, rule="shape", words=error.message)


def _policy(repository: Repository, ref: str, _place: Place, tip: Oid) -> Verdict:
    return Verdict(ref, tuple(map(Checked, read_chain(repository.state, tip))))  # all were judged to get here


def _build(repository: Repository, ref: str, _place: Place, tip: Oid) -> Verdict:
    return _build_verdict(repository, repository.build(ref, tip))


def _build_verdict(repository: Repository, build: Build) -> Verdict:
    forged = {one.link.oid for one in repository.forged(build)}
    records = tuple(
        Checked(one.link, one.rule, one.void, late=bool(one.void) and one.link.oid not in forged)
        for one in build.entries
    )
    if build.broken and not any(one.words for one in records):
        return Verdict(build.ref, records, "parent", build.broken)
    return Verdict(build.ref, records, words=build.unsupported, partial=bool(build.unsupported))


def _side(repository: Repository, ref: str, place: Place, tip: Oid) -> Verdict:
    links = read_chain(repository.state, tip)
    found = []
    for parent, link in zip([None, *links], links, strict=False):
        fault = side_fault(repository.snapshot.policies, ref, place, parent, link)
        found.append(Checked(link, _side_rule(link, fault), fault.words) if fault else Checked(link))
    return Verdict(ref, tuple(found))


def _side_rule(link: Link, fault: Fault) -> str:
    match fault.rule:
        case "record":
            return form_rule(link)
        case "place":
            return place_rule(fault.words)
        case "actor":
            return "role"
        case rule:
            return rule


def _archive(repository: Repository, ref: str, place: Place, tip: Oid) -> Verdict:
    found = []
    for link, before in archive_commits(repository.state, tip):
        if not link.key:
            found.append(Checked(link, form_rule(link), link.fault))
        else:
            fault = archive_fault(repository.state, repository, place, link, before)
            found.append(Checked(link, "archive" if fault else "", fault))
    return Verdict(ref, tuple(reversed(found)))


def _replay(_repository: Repository, ref: str, _place: Place, _tip: Oid) -> Verdict:
    return Verdict(ref)  # somebody's changes, a plain commit


_CHECKS: dict[Kind, _Check] = {
    Kind.POLICY: _policy, Kind.BUILD: _build, Kind.AGENT: _side, Kind.LOCK: _side, Kind.GRANT: _side,
    Kind.ARCHIVE: _archive, Kind.REPLAY: _replay,
}  # fmt: skip
