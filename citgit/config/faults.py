"""Faults of config files: what is wrong where, and how that is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from citgit.config.lines import Path
from citgit.errors import BadConfig
from citgit.model.pattern import pattern

_BARE = pattern(r"[A-Za-z0-9_-]{1,80}")
_SHOWN = 60


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line (from 1) of a config file."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault; `key` is empty where a whole file is at fault."""

    place: Place
    key: str
    text: str

    def __str__(self) -> str:
        key = f"{self.key}: " if self.key else ""
        return f"{file_text(self.place.file)}:{self.place.line}: {key}{self.text}"


def key_text(path: Path) -> str:
    """`path` as a person writes it in TOML: dotted, quoted where it must be, indexes in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else found_text(part))
    return text


def file_text(path: str) -> str:
    """`path`, quoted if a terminal or a log could take it for something else."""
    return path if path.isascii() and path.isprintable() else found_text(path)


def found_text(value: object) -> str:
    """What was found, short and in ASCII: a config's text never reaches a terminal as it is."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)[:_SHOWN]
    cut = value[:_SHOWN] + ("..." if len(value) > _SHOWN else "")
    quoted = ascii(cut)[1:-1].replace("\\'", "'").replace('"', '\\"')
    return f'"{quoted}"'


def meant(word: object, allowed: Iterable[str]) -> str:
    """`; did you mean 'x'?` if one of `allowed` is close to `word`, else nothing."""
    if not isinstance(word, str):
        return ""
    import difflib

    close = difflib.get_close_matches(word[:80].lower(), list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """The text of a fault about a name that is not defined."""
    names = sorted(known)
    shown = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
    return f"unknown {kind} {found_text(word)}{meant(word, names) or ';'} known: {shown or 'none'}"


def bad_config(faults: Iterable[Fault], hint: str = "") -> BadConfig:
    """The error that carries all of `faults`, ordered by file and line."""
    unique = sorted(set(faults))
    files = sorted({fault.place.file for fault in unique})
    where = file_text(files[0]) if len(files) == 1 else f"{len(files)} files"
    return BadConfig(
        f"{len(unique)} fault{'' if len(unique) == 1 else 's'} in {where}",
        faults=tuple(map(str, unique)),
        hint=hint or "mend what is listed, then try 'cit job check'",
    )
