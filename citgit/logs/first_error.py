"""The first failing line of a log, with its context."""

from __future__ import annotations

import re
from pathlib import Path

from citgit.model.record import FirstError

_WINDOW = 4 << 20
_ERROR = re.compile(
    r"(?P<file>[^\s:]+):(?P<line>[0-9]+):(?:[0-9]+:)? (?:fatal )?error: |\*\*\* .*Error|^FAILED |^E   |^not ok |\berror\b|FAIL\b",
    re.IGNORECASE,
)


def first_error(log: Path) -> FirstError | None:
    """The first line that looks like an error, in err before out; None if none does."""
    for stream in ("err", "out"):
        path = log / stream
        if not path.exists():
            continue
        with open(path, "rb") as file:
            lines = file.read(_WINDOW).decode("utf-8", "replace").splitlines()
        for at, line in enumerate(lines):
            if found := _ERROR.search(line):
                named = found.groupdict()
                context = tuple(one[:400] for one in lines[max(0, at - 2) : at + 6])
                return FirstError(
                    file=named["file"] or "", line=int(named["line"] or 0), message=line[:400], context=context
                )
    return None
