"""Where the log of a build is, and how it is reached from here."""

from __future__ import annotations

from pathlib import Path

from citgit.model.build import Build
from citgit.model.record import Progress
from citgit.wiring.clone import Clone
from citgit.wiring.logs import LocalLog, LogSource


def where(build: Build) -> str:
    """ "NODE:/path" of the log of the last attempt that says so; "" if none does."""
    if build.result and build.result.log.where:
        return build.result.log.where
    for entry in reversed(build.entries):
        body = entry.link.record.body if entry.link.record and not entry.void else None
        if isinstance(body, Progress) and body.where:
            return f"{body.where}/log"
    return ""


def local_log(build: Build) -> Path | None:
    """The log's directory if it is on this machine."""
    path = Path(where(build).partition(":")[2] or "/nonexistent")
    try:
        return path if path.is_absolute() and (path / "component.json").is_file() else None
    except (OSError, ValueError):
        return None


def open_log(clone: Clone, build: Build) -> LogSource | None:
    """The log, if it can be read from here; None if not."""
    root = local_log(build)
    return LocalLog(root) if root else None
