"""Whether an archive is what it says: its commits signed, its files those of chains that ended, nothing taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from citgit.errors import BadRecord, NotFound, Refused
from citgit.flows.builds import Repository
from citgit.flows.chains import LONGEST, read_link
from citgit.flows.folders import DIRECTORY, FILE, tip_of
from citgit.flows.state import State
from citgit.interfaces import Entry, Oid
from citgit.model.build import Build, Link
from citgit.model.names import Place, is_build_id
from citgit.model.pattern import pattern
from citgit.records import commit as commits
from citgit.rules.folding import MOST_PARENTS
from citgit.rules.ids import day_of, month_of
from citgit.rules.judge import promises_of

_SUBJECT = pattern(r"archive: [0-9]+ builds of [a-z0-9._-]+ in [0-9-]{7}\n\n")


class Difference(NamedTuple):
    """What one commit changed: what is wrong with that, the tips among its parents, the folders of builds it added."""

    fault: str
    tips: Sequence[Oid]
    added: Mapping[str, Oid]


def archive_commits(state: State, tip: Oid, until: Oid | None = None) -> Iterator[tuple[Link, Oid | None]]:
    """Each commit of an archive with the one before it, newest first, as far as `until`.

    Raises:
        Refused: a commit that is none of an archive, or too many. NotFound: a part of the history is not here.
    """
    oid: Oid | None = tip
    for _ in range(LONGEST):
        if oid is None or oid == until:
            return
        link = read_link(state, oid)
        before = _before(state, link)
        yield link, before
        oid = before
    raise Refused(f"archive at {tip[:12]} is longer than {LONGEST} commits")


def _before(state: State, link: Link) -> Oid | None:
    """The previous commit of the archive: the first parent, unless there are only as many as builds are added."""
    try:
        message = commits.parse(state.objects.read(link.oid)[1]).message
    except BadRecord as error:
        raise Refused(f"{link.oid[:12]} is no commit of an archive: {error.message}") from None
    subject = _SUBJECT.match(message)
    if subject is None:
        raise Refused(f"{link.oid[:12]} is no commit of an archive")
    added = message[subject.end() :].count("\n")
    if len(link.parents) not in (added, added + 1):
        raise Refused(f"archive commit {link.oid[:12]} adds {added} builds and has {len(link.parents)} parents")
    return link.parents[0] if len(link.parents) > added else None


def archive_fault(state: State, repository: Repository, place: Place, link: Link, before: Oid | None) -> str:
    """What is wrong with one commit of an archive; "" if nothing is. Raises NotYet, NotFound."""
    return difference_fault(state, repository, place, difference(state, repository, place, link, before))


def difference(state: State, repository: Repository, place: Place, link: Link, before: Oid | None) -> Difference:
    """What a commit of an archive changed. Raises NotYet, NotFound."""
    tips = link.parents[1:] if before else link.parents
    if len(tips) > MOST_PARENTS:
        return Difference(f"it adds {len(tips)} builds, at most {MOST_PARENTS}", tips, {})
    same = _days(state, read_link(state, before).tree) & _days(state, link.tree) if before else set()
    old = _folders(state, read_link(state, before).tree, same) if before else {}
    new = _folders(state, link.tree, same)
    changed = [build for build in old if new.get(build) != old[build]]
    gone = next((one for one in changed if one not in new or _counts(state, repository, place, one, old[one])), "")
    fault = f"it changes or drops {gone}, which was archived before" if gone else ""
    return Difference(fault, tips, {one: new[one] for one in new if one not in old or one in changed})


def difference_fault(state: State, repository: Repository, place: Place, found: Difference) -> str:
    """What is wrong with what a commit of an archive changed; "" if nothing is. Raises NotYet, NotFound."""
    if found.fault:
        return found.fault
    tips = {build: tip_of(state, folder) for build, folder in found.added.items()}
    if sorted(tips.values()) != sorted(found.tips):
        return "its parents are not the tips of the builds that it adds"
    for build, tip in tips.items():
        if fault := entry_fault(state, repository, place, build, tip, found.added[build]):
            return f"build {build}: {fault}"
    return ""


def _counts(state: State, repository: Repository, place: Place, build: str, folder: Oid) -> bool:
    """Whether an entry stands for ever; one whose build has not ended is a lie that is put right."""
    if not is_build_id(build):
        return True
    try:
        held = repository.build(state.refs.build(place.group, build), tip_of(state, folder))
    except (NotFound, Refused):
        return False
    return held.is_final or bool(held.unsupported)


def entry_fault(state: State, repository: Repository, place: Place, build: str, tip: Oid, folder: Oid) -> str:
    """What is wrong with one archived build; "" if nothing is. Raises NotYet, NotFound."""
    if not is_build_id(build) or month_of(build) != place.leaf:
        return "it is no build of this month"
    judged = repository.build(state.refs.build(place.group, build), tip)
    if not judged.is_final or judged.broken or judged.unsupported:
        return judged.broken or judged.unsupported or f"it is {judged.state}, not final"
    if missing := next((one.id for one in promises_of(judged) if not repository.exists(one.id)), ""):
        return f"it promises build {missing}, which does not exist"
    return _folder_fault(state, folder, judged)


def _folder_fault(state: State, folder: Oid, build: Build) -> str:
    """How the files differ from the chain, which is the truth."""
    files = {entry.name: entry for entry in state.objects.tree(folder)}
    expected: list[Entry] = []
    for seq, entry in enumerate(build.entries):
        link = entry.link
        try:
            _, data = state.objects.read(link.oid)
        except Refused:
            continue  # it was left out
        text = data.split(b"\n\n", 2)[-1] if link.record else data
        stem = f"{seq}-{link.record.head.type if link.record else 'unknown'}"
        if f"{stem}.void.json" in files:
            stem += ".void"  # a policy that came later may have changed the verdict, never the record
        expected.append(Entry(f"{stem}.json", FILE, commits.oid_of("blob", text)))
        if link.tree and state.objects.tree(link.tree):
            expected.append(Entry(stem, DIRECTORY, link.tree))
    tip = build.entries[-1].link
    expected.append(Entry("tip", FILE, commits.oid_of("blob", f"{tip.oid} {tip.sha256}\n".encode())))
    for one in expected:
        if files.pop(one.name, None) != one:
            return f"file {one.name!r} is not what the chain says"
    return f"file {min(files)!r} is of no record" if files else ""


def _days(state: State, tree: Oid) -> set[tuple[str, Oid]]:
    return {(day.name, day.oid) for day in state.objects.tree(tree)}


def _folders(state: State, tree: Oid, without: set[tuple[str, Oid]]) -> dict[str, Oid]:
    """The folder of each build, but of the days `without`; what is no folder of a build has a name that no build has.

    A month has up to a million builds, and a fold changes one day of it or two.
    """
    found = {}
    for day in state.objects.tree(tree):
        if (day.name, day.oid) in without:
            continue
        for entry in state.objects.tree(day.oid) if day.mode == DIRECTORY else [day]:
            fits = is_build_id(entry.name) and day_of(entry.name) == day.name and entry.mode == DIRECTORY
            found[entry.name if fits else f"{day.name}/{entry.name}"] = entry.oid
    return found
