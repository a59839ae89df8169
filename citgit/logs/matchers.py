"""The table of what tools print when something fails: the shipped one, and the node's own before it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import msgspec
import tomli

from citgit.errors import BadConfig

SHIPPED = Path(__file__).with_name("matchers.toml")


class Rank(Enum):
    """How much a line tells, best first."""

    CAUSE = "cause"
    SYMPTOM = "symptom"
    WORD = "word"


RANKS = tuple(Rank)


class Found(NamedTuple):
    """What a line tells: `rank` is an index of RANKS; `file` and `line` are empty and 0 where it names none."""

    rank: int
    file: str
    line: int
    message: str


class Matcher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of the table, as matchers.toml explains it."""

    name: str
    rank: Rank
    pattern: str
    hints: tuple[str, ...] = ()
    example: str = ""
    found: tuple[str, int, str] = ("", 0, "")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    matcher: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class Matchers:
    """A table, ready for use: the patterns by rank, and what tells at a glance that none of them fits.

    `hints` are what `hint` looks for; "" if every line has to be tried.
    """

    ranks: tuple[tuple[re.Pattern[str], ...], ...]
    hint: re.Pattern[str]
    hints: tuple[str, ...] = ("",)

    def match(self, text: str, below: int) -> Found | None:
        """What a line tells, by the first pattern that fits, of a better rank than `below`."""
        for rank, patterns in enumerate(self.ranks[:below]):
            for pattern in patterns:
                if found := pattern.match(text):
                    groups = found.groupdict()
                    line = int((groups.get("line") or "0")[:9])
                    message = (groups.get("message") or ("" if "message" in groups else text)).lstrip(": ")
                    return Found(rank, groups.get("file") or "", line, message)
        return None


def load(own: Path | None = None) -> Matchers:
    """The shipped table behind the node's own, if there is one. Raises BadConfig, naming the entry that is wrong."""
    listed = [*(read(own) if own and own.is_file() else ()), *read(SHIPPED)]
    ranks = tuple(tuple(re.compile(one.pattern) for one in listed if one.rank is rank) for rank in RANKS)
    hints = {hint for one in listed for hint in one.hints} | {"Traceback"}
    # an entry without hints must be tried on every line
    wanted = _shortest(hints) if all(one.hints for one in listed) else [""]
    return Matchers(ranks, re.compile("|".join(map(re.escape, wanted))), tuple(wanted))


def read(path: Path) -> tuple[Matcher, ...]:
    """The entries of a table. Raises BadConfig."""
    try:
        table = msgspec.convert(tomli.loads(path.read_text("utf-8")), _Table)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise BadConfig(
            f"cannot read the table of matchers {str(path)!r}: {error}", hint="mend it, or move it away"
        ) from None
    for one in table.matcher:
        try:
            re.compile(one.pattern)
        except re.error as error:
            raise BadConfig(f"matcher {one.name!r} in {str(path)!r}: not a regular expression: {error}") from None
    return table.matcher


def _shortest(hints: Iterable[str]) -> list[str]:
    """Those hints that hold no other one."""
    return sorted(hint for hint in hints if not any(other in hint and other != hint for other in hints))
