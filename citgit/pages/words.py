"""How pages put times, sizes, states and names into words."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

SYMBOLS = {
    "passed": "✓", "reused": "✓", "failed": "✗", "errored": "!", "timed_out": "!", "broken": "!",
    "unsupported": "!", "running": "▶", "stopping": "▶", "waiting": "…", "paused": "⏸",
}  # fmt: skip
"""A sign beside each state's colour: nobody has to tell colours apart."""

_LAST = 253402300799


def symbol(word: str) -> str:
    """The sign of a state or an outcome."""
    return SYMBOLS.get(word, "–")


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


def moment(seconds: int) -> str:
    """A time in UTC; a record may name any."""
    return f"{datetime.fromtimestamp(min(max(seconds, 0), _LAST), UTC):%Y-%m-%d %H:%M:%S}"


def iso(seconds: int) -> str:
    """A time for machines."""
    return f"{datetime.fromtimestamp(min(max(seconds, 0), _LAST), UTC):%Y-%m-%dT%H:%M:%SZ}"


def job_page(job: str) -> str:
    """The page of a job. Names come from branches, so they never become paths."""
    return f"job/{hashlib.sha256(job.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}.html"


def build_page(build: str) -> str:
    """The page of a build; its id has the form of a UUID wherever it was read."""
    return f"build/{build}.html"
