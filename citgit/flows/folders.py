"""The archives (PROTOCOL §7) as trees: looking a build up, listing, and adding folded builds, in bounded reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from citgit.errors import BadRecord, Errored, NotFound, Refused
from citgit.flows.chains import LONGEST
from citgit.flows.state import Fold, State
from citgit.interfaces import Entry, Oid
from citgit.model.build import Build
from citgit.model.pattern import pattern
from citgit.records import commit as commits
from citgit.records.folded import SUBJECT
from citgit.rules.ids import day_of, month_of

_TIP = pattern(rb"([0-9a-f]{40}) ([0-9a-f]{64})\n")
# A day's tree as every writer of this protocol makes it: folders named by ids, so each entry is 63 bytes long.
_PLAIN = pattern(rb"(?:40000 [0-9a-f-]{36}\0.{20})*", re.DOTALL)
_WIDTH, _NAME, _END = 63, slice(6, 42), 43
DIRECTORY = 0o040000
FILE = 0o100644

_LONGEST_TIP = 1 << 10

LARGEST = 1 << 26
"""Bytes of a day's tree that are read at most: a million builds on one day."""

_DAYS_KEPT = 4
_MONTHS_KEPT = 64
_ABSENT_KEPT = 20_000


def archived_tip(state: State, tips: Mapping[str, Oid], pool: str, build: str) -> Oid:
    """The tip under which the pool's archive holds the build; "" if it does not."""
    archive = tips.get(state.refs.archive(pool, month_of(build)))
    return tip_in(state, archive, build) if archive else ""


def tip_in(state: State, archive: Oid, build: str) -> Oid:
    """As `archived_tip`, in one archive commit. An answer "no" is remembered: pollers ask it again and again."""
    if (archive, build) in state.absent:
        return ""
    folder = _folder_of(state, archive, build)
    if not folder:
        if len(state.absent) >= _ABSENT_KEPT:
            state.absent.clear()
        state.absent.add((archive, build))
        return ""
    return tip_of(state, folder)


def tips_back(state: State, archive: Oid, build: str) -> Iterator[Oid]:
    """The tips under which an archive has held the build, newest first; none if it does not hold it now.

    Nothing keeps a liar from changing an entry. One that was dropped is told of by `flows.takings`.
    """
    oid, last = archive, ""
    for _ in range(LONGEST):
        tip = tip_in(state, oid, build)
        if tip and tip != last:
            yield tip
        last = tip or last
        parent = _fold(state, oid).before
        if not last or not parent or not is_archive(state, parent):
            return
        oid = parent


def missing(state: State, new: Oid, old: Oid) -> list[str]:
    """The ids that one archive commit holds and another one does not, sorted; reads the days that differ."""
    now, then = _top(state, new), _top(state, old)
    found: list[str] = []
    for day, oid in sorted(then.items()):
        if now.get(day) != oid:
            kept = set(_ids(state, now[day])) if day in now else set()
            found += [build for build in _ids(state, oid) if build not in kept]
    return found


def tip_of(state: State, folder: Oid) -> Oid:
    """The tip that an archived build's folder names; "" if it names none, or nothing that is meant to be read."""
    entries = state.objects.tree(folder)
    blob = next((one.oid for one in entries if one.name == "tip" and one.mode == FILE), "")
    try:
        found = _TIP.fullmatch(state.objects.read(blob, limit=_LONGEST_TIP)[1]) if blob else None
    except Refused:
        found = None
    return found[1].decode() if found else ""


def archive_commit(state: State, oid: Oid) -> commits.Commit:
    """The archive commit at `oid`; whoever signed it, the chains it keeps speak for themselves (PROTOCOL §7)."""
    kind, data = state.objects.read(oid, limit=1 << 20)
    if kind != "commit":
        raise Refused(f"object {oid[:12]} is a {kind}, not a commit")
    return commits.parse(data, oid)


def is_archive(state: State, oid: Oid) -> bool:
    """Whether the object is a commit of an archive by its form, with a tree that can be read."""
    try:
        return _fold(state, oid).fits
    except (Refused, Errored):
        return False


def follows(state: State, new: Oid, old: Oid) -> bool:
    """Whether an archive grew from `old` to `new`. Reads the commits between them, not what they hold."""
    oid: Oid | None = new
    while oid is not None and oid != old:
        try:
            commit = archive_commit(state, oid)
        except (NotFound, BadRecord):
            return False
        if not commit.message.startswith(SUBJECT):
            return False
        oid = commit.parents[0] if commit.parents else None
    return oid == old


def listed(state: State, archive: Oid) -> Iterator[str]:
    """The ids in one archive, newest day and id first; a day is read when it is reached."""
    for _, day in sorted(_top(state, archive).items(), reverse=True):
        yield from reversed(_ids(state, day))


def folded(state: State, before: Oid | None, builds: Sequence[Build]) -> Oid:
    """The tree of the next archive commit: the previous one with a folder for each of the builds.

    None of them may have an entry there that counts: one that does not is replaced.
    """
    top = dict(_top(state, before)) if before else {}
    days: dict[str, list[Build]] = {}
    for build in builds:
        days.setdefault(day_of(build.id), []).append(build)
    for day, added in days.items():
        top[day] = _spliced(state, top.get(day, ""), added)
    return state.objects.write_tree(Entry(name, DIRECTORY, oid) for name, oid in top.items())


def held_by(state: State, archive: Oid, days: Iterable[str]) -> int:
    """How many builds the archive holds on these days: what folding another one into them costs."""
    top = _top(state, archive)
    return sum(len(_day(state, top[day])) // _WIDTH for day in set(days) if day in top)


def _folder_of(state: State, archive: Oid, build: str) -> Oid:
    """The build's folder in one archive commit; "" if there is none."""
    day = _top(state, archive).get(day_of(build), "")
    if not day:
        return ""
    # No entry's digest can be mistaken for an id between a space and a zero byte: it is too short, and the next
    # entry's mode has a space where an id has none. So nothing needs to be taken apart, however long the day.
    raw, entry = _day(state, day), b"40000 %s\0" % build.encode()
    at = raw.find(entry)
    return raw[at + len(entry) : at + len(entry) + 20].hex() if at >= 0 else ""


def _top(state: State, archive: Oid) -> dict[str, Oid]:
    """The days of one archive commit."""
    return _fold(state, archive).days


def _fold(state: State, oid: Oid) -> Fold:
    if oid not in state.months:
        commit = archive_commit(state, oid)
        entries = state.objects.tree(commit.tree)
        _make_room(state.months, _MONTHS_KEPT)
        state.months[oid] = Fold(
            before=commit.parents[0] if commit.parents else "",
            days={one.name: one.oid for one in entries if one.mode == DIRECTORY},
            fits=commit.message.startswith(SUBJECT)
            and all(one.mode == DIRECTORY and one.name.isdigit() for one in entries),
        )
    return state.months[oid]


def _day(state: State, oid: Oid) -> bytes:
    """The bytes of a day's tree; the last few days asked for are kept. One that is too large holds nothing."""
    if oid not in state.days:
        try:
            kind, data = state.objects.read(oid, limit=LARGEST)
        except Refused:
            # not a million builds: a lie, which must not keep anybody from what was there before it
            kind, data = "tree", b""
        if kind != "tree":
            raise Refused(f"object {oid[:12]} is a {kind}, not a tree")
        _make_room(state.days, _DAYS_KEPT)
        state.days[oid] = data
    return state.days[oid]


def _make_room(kept: dict[Oid, Any], most: int) -> None:
    """Forgets what was kept longest."""
    while len(kept) >= most:
        kept.pop(next(iter(kept)))


def _ids(state: State, day: Oid) -> list[str]:
    """The names in a day's tree, sorted."""
    raw = _day(state, day)
    if not _PLAIN.fullmatch(raw):
        return sorted(one.name for one in state.objects.tree(day))
    return sorted(raw[at : at + 36].decode() for at in range(_NAME.start, len(raw), _WIDTH))


def _spliced(state: State, day: Oid, builds: Sequence[Build]) -> Oid:
    """The next tree of a day: a month of a million builds has days of two megabytes, so entries stay bytes."""
    raw = _day(state, day) if day else b""
    added = {one.id: _folder(state, one) for one in builds}
    if not _PLAIN.fullmatch(raw):
        kept = [one for one in state.objects.tree(day) if one.name not in added]
        return state.objects.write_tree([*kept, *(Entry(name, DIRECTORY, oid) for name, oid in added.items())])
    parts = [raw[at : at + _WIDTH] for at in range(0, len(raw), _WIDTH)]
    fresh = [b"40000 %s\0%s" % (name.encode(), bytes.fromhex(oid)) for name, oid in added.items()]
    lies = tuple(one[:_END] for one in fresh if one[:_END] in raw)
    parts = [one for one in parts if not lies or not one.startswith(lies)] + fresh
    return state.objects.write("tree", b"".join(sorted(parts)))


def _folder(state: State, build: Build) -> Oid:
    entries = []
    for seq, entry in enumerate(build.entries):
        link = entry.link
        kind = link.record.head.type if link.record else "unknown"
        stem = f"{seq}-{kind}" + (".void" if entry.void else "")
        try:
            _, data = state.objects.read(link.oid)
        except (NotFound, Refused):
            # not here, or so large that nobody is to read it: the chain has it all the same
            continue
        text = data.split(b"\n\n", 2)[-1] if link.record else data
        entries.append(Entry(f"{stem}.json", FILE, state.objects.write("blob", text)))
        if link.tree and state.objects.tree(link.tree):
            entries.append(Entry(stem, DIRECTORY, link.tree))
    tip = build.entries[-1].link
    entries.append(Entry("tip", FILE, state.objects.write("blob", f"{tip.oid} {tip.sha256}\n".encode())))
    return state.objects.write_tree(entries)
