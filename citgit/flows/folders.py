"""The archives (PROTOCOL §7) as trees: looking a build up, listing, and adding folded builds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from citgit.errors import NotFound
from citgit.flows.chains import read_link
from citgit.flows.state import State
from citgit.interfaces import Entry, Oid
from citgit.model.build import Build
from citgit.rules.ids import day_of, month_of

_TIP = re.compile(rb"([0-9a-f]{40}) ([0-9a-f]{64})\n")
DIRECTORY = 0o040000
FILE = 0o100644


def archived_tip(state: State, tips: Mapping[str, Oid], pool: str, build: str) -> Oid:
    """The tip under which the pool's archive holds the build; "" if it does not."""
    archive = tips.get(state.refs.archive(pool, month_of(build)))
    return tip_in(state, archive, build) if archive else ""


def tip_in(state: State, archive: Oid, build: str) -> Oid:
    """As `archived_tip`, in one archive commit."""
    tree = read_link(state, archive).tree
    for name in (day_of(build), build):
        tree = next((one.oid for one in state.objects.tree(tree) if one.name == name), "") if tree else ""
    return tip_of(state, tree) if tree else ""


def tip_of(state: State, folder: Oid) -> Oid:
    """The tip that an archived build's folder names; "" if it names none."""
    blob = next((one.oid for one in state.objects.tree(folder) if one.name == "tip"), "")
    found = _TIP.fullmatch(state.objects.read(blob)[1]) if blob else None
    return found[1].decode() if found else ""


def listed(state: State, archive: Oid) -> Iterator[str]:
    """The ids in one archive, newest day and id first."""
    days = state.objects.tree(read_link(state, archive).tree)
    for day in sorted((one for one in days if one.mode == DIRECTORY), key=lambda one: one.name, reverse=True):
        yield from sorted((one.name for one in state.objects.tree(day.oid)), reverse=True)


def folded(state: State, before: Oid | None, builds: Sequence[Build]) -> Oid:
    """The tree of the next archive commit: the previous one plus a folder for each build not in it yet."""
    days: dict[str, dict[str, Entry]] = {}
    top: dict[str, Entry] = {}
    if before:
        top = {one.name: one for one in state.objects.tree(read_link(state, before).tree)}
    for build in builds:
        day = day_of(build.id)
        if day not in days:
            days[day] = {one.name: one for one in state.objects.tree(top[day].oid)} if day in top else {}
        # the first entry wins, for ever
        days[day].setdefault(build.id, Entry(build.id, DIRECTORY, _folder(state, build)))
    for day, entries in days.items():
        top[day] = Entry(day, DIRECTORY, state.objects.write_tree(entries.values()))
    return state.objects.write_tree(top.values())


def _folder(state: State, build: Build) -> Oid:
    entries = []
    for seq, entry in enumerate(build.entries):
        link = entry.link
        kind = link.record.head.type if link.record else "unknown"
        stem = f"{seq}-{kind}" + (".void" if entry.void else "")
        try:
            _, data = state.objects.read(link.oid)
        except NotFound:
            continue
        text = data.split(b"\n\n", 2)[-1] if link.record else data
        entries.append(Entry(f"{stem}.json", FILE, state.objects.write("blob", text)))
        if link.tree and state.objects.tree(link.tree):
            entries.append(Entry(stem, DIRECTORY, link.tree))
    tip = build.entries[-1].link
    entries.append(Entry("tip", FILE, state.objects.write("blob", f"{tip.oid} {tip.sha256}\n".encode())))
    return state.objects.write_tree(entries)
