"""How pages put times, sizes, states and names into words."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from citgit.model.pattern import pattern
from citgit.pages.summary import Summary

SYMBOLS = {
    "passed": "✓", "reused": "✓", "failed": "✗", "errored": "!", "timed_out": "!", "broken": "!",
    "unsupported": "!", "running": "▶", "stopping": "▶", "waiting": "…", "paused": "‖",
}  # fmt: skip
"""A sign beside each state's colour: nobody has to tell colours apart."""

_LAST = 253402300799
_FORGES = {
    "github.com": ("commit", "blob/{}/"), "gitlab.com": ("-/commit", "-/blob/{}/"),
    "codeberg.org": ("commit", "src/commit/{}/"), "bitbucket.org": ("commits", "src/{}/"),
    "git.sr.ht": ("commit", "tree/{}/item/"),
}  # fmt: skip
_URL = pattern(
    r"(?:(?:https|ssh)://(?:[\w.-]+@)?(?P<host>[a-z0-9.-]+)(?::\d+)?/|[\w.-]+@(?P<scp>[a-z0-9.-]+):)"
    r"(?P<path>[\w./~-]+?)(?:\.git)?/?"
)


def symbol(word: str) -> str:
    """The sign of a state or an outcome."""
    return SYMBOLS.get(word, "–")


def spaced(word: str) -> str:
    """A state or an outcome as people write it."""
    return word.replace("_", " ")


def span(ms: float) -> str:
    """A duration in ms as people say it."""
    seconds = ms / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
    if seconds < 86400:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:02.0f} min"
    return f"{seconds // 86400:.0f} d {seconds % 86400 // 3600:.0f} h"


@lru_cache(4096)
def moment(seconds: int) -> str:
    """A time in UTC; a record may name any."""
    return f"{datetime.fromtimestamp(min(max(seconds, 0), _LAST), UTC):%Y-%m-%d %H:%M}"


@lru_cache(4096)
def iso(seconds: int) -> str:
    """A time for machines."""
    return f"{datetime.fromtimestamp(min(max(seconds, 0), _LAST), UTC):%Y-%m-%dT%H:%M:%SZ}"


def name_of(one: Summary) -> str:
    """The job and the cell of its matrix."""
    return one.job + "".join(f" {key}={value}" for key, value in sorted(one.cell.items()))


def say(one: Summary) -> str:
    """A build in one line."""
    took = f", {span(one.wall_ms)}" if one.wall_ms else ""
    return f"{name_of(one)} on {one.branch}: {spaced(one.word)}{took}, {moment(one.requested)}"


@lru_cache(256)
def fingerprint(key: str) -> str:
    """The fingerprint of a public key "type base64", as ssh-keygen prints it; "" for what is none."""
    try:
        digest = hashlib.sha256(base64.b64decode(key.split()[1], validate=True)).digest()
    except (IndexError, ValueError):
        return ""
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def commit_link(url: str, commit: str, path: str = "") -> str:
    """Where a known forge shows the commit, or the file `path` in it; "" for addresses of other hosts."""
    found = _URL.fullmatch(url)
    if not found or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return ""
    host = found["host"] or found["scp"]
    if host not in _FORGES:
        return ""
    whole, file = _FORGES[host]
    return f"https://{host}/{found['path']}/" + (file.format(commit) + quote(path) if path else f"{whole}/{commit}")


def job_page(job: str) -> str:
    """The page of a job. Names come from branches, so they never become paths."""
    return f"job/{_digest(job)}.html"


def badge_file(job: str) -> str:
    """The badge of a job."""
    return f"badge/{_digest(job)}.svg"


def build_page(build: str) -> str:
    """The page of a build; its id has the form of a UUID wherever it was read."""
    return f"build/{build}.html"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
