"""What single values in config must look like: paths, refs, URLs, tools, names of variables, times.

Each function returns what is wrong, or an empty string.
"""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from citgit.config.faults import found_text, meant
from citgit.model.names import is_name
from citgit.model.pattern import pattern

_TOOL = pattern(r"[A-Za-z0-9][A-Za-z0-9+._-]*( (>=|>|==|<=|<) [0-9][0-9A-Za-z.+~-]*)?")
_VARIABLE = pattern(r"[A-Za-z_][A-Za-z0-9_]*")
_LABEL = pattern(r"[A-Za-z0-9][A-Za-z0-9._=:+-]{0,62}")
_HELPER = pattern(r"[A-Za-z0-9+.-]+::")
_SECRET = pattern(r"[a-z+]+://[^/@\s]*:[^/@\s]*@", re.IGNORECASE)
_AGE = pattern(r"age1[02-9ac-hj-np-z]{58}")
_BAD_REF = pattern(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[-/.]|[/.]$")


def name_fault(word: str) -> str:
    """A job, pool, person …: one path component of PROTOCOL §1."""
    if is_name(word):
        return ""
    return (
        f"not a name: {found_text(word)}; allowed: lower case letters, digits, '.', '_' and '-', at most 63, "
        "beginning with a letter or digit, not ending in '.' or '.lock'"
    )


def member_fault(word: str) -> str:
    """Somebody, or @group."""
    return name_fault(word.removeprefix("@"))


def age_fault(key: str) -> str:
    """The public half of a native age key."""
    return "" if _AGE.fullmatch(key) else f"found {found_text(key)}; allowed: an age key such as age1…"


def path_fault(path: str) -> str:
    """A path (or glob) within a checkout: relative, never above it, never git's own folder."""
    if not path or path.startswith(("/", "~")) or "\\" in path or not path.isprintable():
        return f"found {found_text(path)}; allowed: a relative path with forward slashes"
    parts = path.split("/")
    if ".." in parts:
        return f"found {found_text(path)}; allowed: a path without '..'"
    if any(part.lower() == ".git" for part in parts):
        return f"found {found_text(path)}; allowed: a path outside '.git'"
    return ""


def glob_fault(pattern: str) -> str:
    """A pattern over paths; a leading '!' takes back."""
    return path_fault(pattern.removeprefix("!"))


def branch_glob_fault(pattern: str) -> str:
    """A pattern over branches."""
    bare = pattern.removeprefix("!")
    if not bare or bare.startswith(("-", "/", "refs/")) or not bare.isprintable() or " " in bare or ".." in bare:
        return f'found {found_text(pattern)}; allowed: a branch or a pattern such as "release/*"'
    return ""


def ref_fault(ref: str) -> str:
    """A branch, tag or commit that git can fetch."""
    if not ref or _BAD_REF.search(ref):
        return f"found {found_text(ref)}; allowed: a branch, a tag or a commit"
    return ""


def url_fault(url: str) -> str:
    """Where to fetch from: nothing that git would take as an option or a program, no secret."""
    if not url or url.startswith("-") or not url.isprintable():
        return f"found {found_text(url)}; allowed: a URL or path that does not begin with '-'"
    if _HELPER.match(url):
        return f"found {found_text(url)}; allowed: a URL without a transport helper ('NAME::')"
    if _SECRET.match(url):
        # The text of the URL is left out: it holds a password.
        return "the URL holds a password; allowed: a URL without one (git finds credentials where they are)"
    return ""


def tool_fault(tool: str) -> str:
    """A program that a node must have, and in which version."""
    if _TOOL.fullmatch(tool):
        return ""
    return f'found {found_text(tool)}; allowed: "name" or "name OP version", OP one of >=, >, ==, <, <='


def variable_fault(word: str) -> str:
    """The name of an environment variable."""
    if not _VARIABLE.fullmatch(word):
        return f"not a variable name: {found_text(word)}; allowed: letters, digits and '_', no digit first"
    return "reserved: variables beginning with CIT_ are set by citgit" if word.startswith("CIT_") else ""


def label_fault(label: str) -> str:
    """A label of agents."""
    if _LABEL.fullmatch(label):
        return ""
    return f"found {found_text(label)}; allowed: letters, digits and . _ = : + -, at most 63"


def cron_fault(expression: str) -> str:
    """Five fields as cron(5) has them."""
    try:
        CronSim(expression, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        cause = found_text(str(error))[1:-1]
        return f'found {found_text(expression)}: {cause[:1].lower()}{cause[1:]}; allowed: cron such as "0 3 * * *"'
    return ""


def zone_fault(zone: str) -> str:
    """A time zone of the IANA database."""
    if zone == "UTC":
        return ""
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = zoneinfo.available_timezones()
        close = {name.lower(): name for name in known}
        guess = meant(zone, close)
        for lower, name in close.items():
            guess = guess.replace(f"'{lower}'", f"'{name}'")
        return f'unknown time zone {found_text(zone)}{guess or ";"} allowed: names such as "Europe/Berlin"'
    return ""
