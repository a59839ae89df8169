"""The message of an archive commit: a line for each build it adds, which is how history is searched (PROTOCOL §7)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from citgit.model.build import Build
from citgit.model.names import is_build_id

SUBJECT = "archive: "
_FIELDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A line: what a build was, in words that nobody vouches for; its chain tells the truth.

    Only `build` and `outcome` are sure to be there: older archives say no more.
    """

    build: str
    outcome: str
    commit: str = ""
    owner: str = ""
    job: str = ""
    branch: str = ""


def message(pool: str, month: str, builds: Sequence[Build]) -> str:
    """The message of the commit that adds these builds."""
    return f"{SUBJECT}{len(builds)} builds of {pool} in {month}\n\n" + "".join(_line(build) for build in builds)


def lines(text: str) -> list[Folded]:
    """The lines of an archive commit's message that name a build; what else it says is left out."""
    return list(_read(text.partition("\n\n")[2].split("\n")))


def _line(build: Build) -> str:
    outcome = build.outcome.value if build.outcome else ""
    request = build.request
    if request is None or not request.sources:
        return f"{build.id} {outcome}\n"
    # as JSON writes it, so that the line is ASCII and one line, whatever the branch is called
    branch = json.dumps(request.branch)[1:-1]
    who = build.owner or build.principal or "-"
    return f"{build.id} {outcome} {request.sources[0].commit} {who} {request.job}@{branch}\n"


def _read(lines: Iterable[str]) -> Iterable[Folded]:
    for line in lines:
        words = line.split(" ", _FIELDS - 1)
        if len(words) < 2 or not is_build_id(words[0]):
            continue
        if len(words) < _FIELDS:
            yield Folded(build=words[0], outcome=words[1])
            continue
        job, _, branch = words[4].partition("@")
        if "\\" in branch:
            branch = _plain(branch)
        owner = "" if words[3] == "-" else words[3]
        yield Folded(build=words[0], outcome=words[1], commit=words[2], owner=owner, job=job, branch=branch)


def _plain(branch: str) -> str:
    try:
        return str(json.loads(f'"{branch}"'))
    except ValueError:
        return branch
