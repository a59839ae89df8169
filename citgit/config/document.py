"""The raw tables of cit.toml or team.toml, put together from all their files, with the place of every key.

Beside the main file, entries may stand in files of their own (`jobs/lint.toml`, `agents/lab1.toml`,
`people/anna.toml`), and all of these may stand in `.cit/` as well. A split file is either a piece of the main
file, when it holds a `[job.…]` (`[agent.…]`, `[person.…]`) table, or else the table of the one entry that it
is named after. An entry is defined in one place: defined twice is a fault that names both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli

from citgit.config.faults import Fault, Place, found_text, key_text
from citgit.config.lines import Path, key_lines
from citgit.errors import UsageError
from citgit.model.names import is_name
from citgit.model.pattern import pattern

MAX_BYTES = 2**20
_SPLIT = pattern(r"(?:\.cit/)?(jobs|agents|people)/([^/]+)\.toml")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which files make a document: `main`, and folders with the table that they fill and the tables allowed."""

    main: str
    folders: Mapping[str, tuple[str, tuple[str, ...]]]


CIT = Layout("cit.toml", {"jobs": ("job", ("job", "source"))})
TEAM = Layout("team.toml", {"agents": ("agent", ("agent",)), "people": ("person", ("person",))})


@dataclass(slots=True)
class Document:
    """Merged tables; `faults` are those of the files themselves; `broken` if a file could not be read at all."""

    data: dict[str, Any] = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    broken: bool = False

    def place(self, path: Path) -> Place:
        """Where `path` stands, or the nearest table around it that is written anywhere."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]


def paths(layout: Layout, names: Iterable[str]) -> list[str]:
    """Those of `names` (paths in a checkout or tree) that belong to `layout`, sorted."""
    return sorted(name for name in names if _belongs(layout, name))


def _belongs(layout: Layout, path: str) -> bool:
    split = _SPLIT.fullmatch(path)
    return path in (layout.main, f".cit/{layout.main}") or (split is not None and split[1] in layout.folders)


def load(layout: Layout, files: Mapping[str, bytes]) -> Document:
    """The document that `files` make together; files that are no part of `layout` are passed over."""
    document = Document()
    for path in paths(layout, files):
        document.places.setdefault((), Place(path, 1))
        try:
            data, lines = _parse(path, files[path])
        except _Unreadable as error:
            document.faults.append(error.fault)
            document.broken = True
            continue
        _add(document, layout, path, data, lines)
    return document


class _Unreadable(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def _parse(path: str, content: bytes) -> tuple[dict[str, Any], dict[Path, int]]:
    def unreadable(line: int, text: str) -> _Unreadable:
        return _Unreadable(Fault(Place(path, line), "", text))

    if len(content) > MAX_BYTES:
        raise unreadable(1, f"too long: {len(content)} bytes, allowed: {MAX_BYTES}")
    try:
        text = content.decode("utf-8-sig")
        return tomli.loads(text), key_lines(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise unreadable(line, f"not UTF-8: byte 0x{content[error.start]:02x}") from error
    except tomli.TOMLDecodeError as error:
        cause = found_text(error.msg)[1:-1]
        column = f"column {error.colno}: "
        raise unreadable(error.lineno, f"{column}not valid TOML: {cause[:1].lower()}{cause[1:]}") from error
    except (UsageError, RecursionError, ValueError) as error:
        # Nesting without end, an integer of 5,000 digits: texts that no person writes.
        raise unreadable(1, f"not readable: {found_text(str(error))[1:-1]}") from error


def _add(document: Document, layout: Layout, path: str, data: dict[str, Any], lines: dict[Path, int]) -> None:
    places = {key: Place(path, line) for key, line in lines.items()}
    split = _SPLIT.fullmatch(path)
    if split:
        table, allowed = layout.folders[split[1]]
        if table not in data:
            if not is_name(split[2]):
                document.faults.append(Fault(Place(path, 1), "", f"not a {table} name: {found_text(split[2])}"))
                return
            prefix = (table, split[2])
            places = {(*prefix, *key): place for key, place in places.items()} | {prefix: Place(path, 1)}
            data = {table: {split[2]: data}}
        for extra in [key for key in data if key not in allowed]:
            text = f"unknown key in this file; allowed: {', '.join(allowed)}"
            document.faults.append(Fault(places[(extra,)], key_text((extra,)), text))
            del data[extra]
    _merge(document, data, places)


def _merge(document: Document, data: dict[str, Any], places: dict[Path, Place]) -> None:
    for table, entries in data.items():
        both = isinstance(entries, dict) and isinstance(document.data.get(table), dict)
        if table in document.data and not both:
            _twice(document, (table,), places)
        elif not both:
            document.data[table] = dict(entries) if isinstance(entries, dict) else entries
        else:
            for name, entry in entries.items():
                if name in document.data[table]:
                    _twice(document, (table, name), places)
                else:
                    document.data[table][name] = entry
    for path, place in places.items():
        document.places.setdefault(path, place)


def _twice(document: Document, path: Path, places: dict[Path, Place]) -> None:
    here, first = places[path], document.places[path]
    document.faults.append(Fault(here, key_text(path), f"defined twice: also in {first.file}:{first.line}"))
    # What stands in the second definition is not looked at, so it must not lend its lines to the first.
    for inner in [key for key in places if key[: len(path)] == path]:
        del places[inner]
