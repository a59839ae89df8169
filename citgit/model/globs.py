"""Globs over branches and paths, as every list of patterns in config means them.

`*` and `?` stay within one part between slashes, `**` as a whole part stands for any number of parts, `[a-c]`
and `[!a]` are sets; a trailing slash means everything below. Patterns match from the root, upper and lower
case differ. In a list the last pattern that matches decides, and one with a leading `!` decides against;
a list that begins with `!` starts from everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache


def matches(patterns: Sequence[str], path: str) -> bool:
    """Whether the list `patterns` selects `path`."""
    chosen = bool(patterns) and patterns[0].startswith("!")
    for pattern in patterns:
        against = pattern.startswith("!")
        if against == chosen and _expression(pattern[against:]).fullmatch(path):
            chosen = not against
    return chosen


def matches_any(patterns: Sequence[str], paths: Iterable[str]) -> bool:
    """Whether `patterns` select at least one of `paths`."""
    return any(matches(patterns, path) for path in paths)


def matches_branch(patterns: Sequence[str], branch: str) -> bool:
    """The same for a branch, where a lone `*` means every branch, with slashes in its name or without."""
    return matches(["**" if pattern == "*" else pattern for pattern in patterns], branch)


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    """The expression that `pattern` means.

    Between two stars the first place that fits is as good as any later one, so it is matched atomically:
    no pattern, however hostile, makes the search explode.
    """
    runs: list[list[str]] = [[]]
    for part in (pattern + "**" if pattern.endswith("/") else pattern).split("/"):
        if part == "**":
            runs.append([])
        else:
            runs[-1].append(_part(part))
    if len(runs) == 1:
        return re.compile("/".join(runs[0]), re.DOTALL)
    text = "".join(part + "/" for part in runs[0])
    for run in filter(None, runs[1:-1]):
        text += "(?>(?:[^/]+/)*?" + "".join(part + "/" for part in run) + ")"
    text += "(?:[^/]+/)*" + "/".join(runs[-1]) if runs[-1] else ".+"
    return re.compile(text, re.DOTALL)


def _part(part: str) -> str:
    chunks, at = [""], 0
    while at < len(part):
        char = part[at]
        end = part.find("]", at + 2) if char == "[" else -1
        if char == "*":
            chunks.append("")
        elif char == "?":
            chunks[-1] += "[^/]"
        elif end > 0:
            chunks[-1] += _set(part[at + 1 : end])
            at = end
        else:
            chunks[-1] += re.escape(char)
        at += 1
    if len(chunks) == 1:
        return chunks[0]
    middle = "".join(f"(?>[^/]*?{chunk})" for chunk in chunks[1:-1] if chunk)
    return f"{chunks[0]}{middle}[^/]*{chunks[-1]}"


def _set(inside: str) -> str:
    against = inside[0] in "!^" and len(inside) > 1
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", inside[against:])
    try:
        re.compile(f"[{members}]")
    except re.error:
        return re.escape(f"[{inside}]")
    return f"[^/{members}]" if against else f"(?!/)[{members}]"
