"""The door to config: TOML bytes in, typed values or all faults at once out.

Which files make a config, and how split files merge, is told in `citgit.config.document`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from citgit.config import document as documents
from citgit.config.check import MISSING, check
from citgit.config.check_jobs import jobs_faults
from citgit.config.check_team import team_faults
from citgit.config.document import CIT, TEAM, Document, Layout
from citgit.config.extend import chain, extended
from citgit.config.faults import Fault, bad_config, key_text
from citgit.config.lines import Path
from citgit.errors import NotFound
from citgit.model.job import CitToml
from citgit.model.team import Team

T = TypeVar("T")


def config_paths(names: Iterable[str]) -> list[str]:
    """Those of `names` (all paths of a tree) that are config: jobs and team, split files too; sorted."""
    listed = list(names)
    return sorted({*cit_paths(listed), *team_paths(listed)})


def cit_paths(names: Iterable[str]) -> list[str]:
    """Those of `names` that `read_cit` reads."""
    return documents.paths(CIT, names)


def team_paths(names: Iterable[str]) -> list[str]:
    """Those of `names` that `read_team` reads."""
    return documents.paths(TEAM, names)


def read_cit(files: Mapping[str, bytes]) -> CitToml:
    """The jobs and sources in `files` (path in the tree -> content; paths that are no config are passed over).

    What a job inherits is merged into it; `extends` stays, to be shown.

    Raises:
        NotFound: no file of `files` is config.
        BadConfig: with every fault of every file.
    """
    document = _load(CIT, files)
    faults = list(document.faults)
    tables, bad = _shaped(document, CitToml, faults)
    jobs = tables.get("job", {})
    whole = {**tables, "job": {name: extended(name, jobs) for name in jobs}}
    config = msgspec.convert(whole, CitToml)

    def report(name: str, path: Path, text: str) -> None:
        """A fault in a job stands where it was written: in the job itself or in one that it extends."""
        for ancestor in chain(name, jobs):
            full = ("job", ancestor, *path)
            if full in document.places:
                _report(document, faults, bad, full, text)
                return
        _report(document, faults, bad, ("job", name, *path), text)

    if not document.broken:
        for path, text in jobs_faults(config, jobs, known=_names(document.data)):
            if path[0] == "job":
                report(str(path[1]), path[2:], text)
            else:
                _report(document, faults, bad, path, text)
    if faults:
        raise bad_config(faults)
    return config


def read_team(files: Mapping[str, bytes]) -> Team:
    """The team in `files` (path in the tree -> content; paths that are no part of it are passed over).

    Raises:
        NotFound: no file of `files` is part of a team.
        BadConfig: with every fault of every file.
    """
    document = _load(TEAM, files)
    faults = list(document.faults)
    tables, bad = _shaped(document, Team, faults)
    if not document.broken and not bad:
        for path, text in team_faults(msgspec.convert(tables, Team)):
            _report(document, faults, bad, path, text)
    if faults:
        raise bad_config(faults)
    return msgspec.convert(tables, Team)


def _load(layout: Layout, files: Mapping[str, bytes]) -> Document:
    if not documents.paths(layout, files):
        proposed = "'cit init' proposes one; one that you wrote counts once it is committed"
        hint = proposed if layout is CIT else "'cit init' makes one"
        raise NotFound(f"no {layout.main} here", hint=hint)
    return documents.load(layout, files)


def _shaped(document: Document, kind: type, faults: list[Fault]) -> tuple[dict[str, Any], set[Path]]:
    """The tables with units converted and without what has a fault, and the paths that have one."""
    bad: set[Path] = set()

    def report(path: Path, text: str) -> None:
        bad.add(path)
        faults.append(Fault(document.place(path), key_text(path), text))

    shaped = check(_type_info(kind), document.data, (), report)
    return ({} if shaped is MISSING else shaped), bad


@cache
def _type_info(kind: type) -> inspect.Type:
    # what a type looks like never changes, and finding it out takes as long as all the rest of reading a config
    return inspect.type_info(kind)


def _report(document: Document, faults: list[Fault], bad: set[Path], path: Path, text: str) -> None:
    """Adds a fault of meaning, unless it only follows from a fault of shape at, above or below its key."""
    follows = any(path[: len(other)] == other or other[: len(path)] == path for other in bad)
    # With a wrong type, nothing can be said about the default and the choices beside it.
    untyped = any((*path[:size], "type") in bad for size in range(len(path)))
    if not follows and not untyped:
        faults.append(Fault(document.place(path), key_text(path), text))


def _names(data: dict[str, Any]) -> dict[str, set[str]]:
    """All names that are written, also of entries whose tables have faults: references to them are no faults."""
    return {table: set(entries) for table, entries in data.items() if isinstance(entries, dict)}
