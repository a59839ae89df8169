"""Writes a component of a log tree: the command writes its streams itself, whoever polls adds the times."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from citgit.model.record import Exit

VERSION = 1


class About(msgspec.Struct, frozen=True, kw_only=True):
    """component.json: `started` and `ended` in unix ms, 0 while it runs; `truncated` if the limit cut it."""

    version: int = VERSION
    name: str = ""
    started: int = 0
    ended: int = 0
    exit: Exit = Exit()
    truncated: bool = False


def sizes(component: Path) -> tuple[int, int]:
    """The bytes in out and err."""
    return os.stat(component / "out").st_size, os.stat(component / "err").st_size


class Capture:
    """The writer of log trees; it keeps no state but in the component's directory."""

    def begin(self, component: Path, name: str, started: int) -> None:
        """Makes the component with empty streams; `started` in unix ms. Raises OSError."""
        component.mkdir(mode=0o700, parents=True, exist_ok=True)
        for stream in ("out", "err", "times"):
            (component / stream).touch(mode=0o600)
        _write(component, About(name=name, started=started))

    def mark(self, component: Path, ms: int) -> tuple[int, int]:
        """Notes how long the streams are `ms` after the start, if they grew; their sizes. Raises OSError."""
        out, err = sizes(component)
        times = os.open(component / "times", os.O_RDWR | os.O_APPEND)
        try:
            if (out, err) != _last(times):
                os.write(times, f"{ms} {out} {err}\n".encode())
        finally:
            os.close(times)
        return out, err

    def finish(self, component: Path, ended: int, exit: Exit, limit: int) -> bool:
        """Closes the component, cutting the streams to `limit` bytes in all; whether it had to. Raises OSError."""
        out, err = sizes(component)
        # Neither stream may push the other out: each keeps at least half of the limit if it needs it.
        keep_out = min(out, max(limit - err, limit // 2))
        keep_err = min(err, limit - keep_out)
        truncated = (keep_out, keep_err) != (out, err)
        if truncated:
            os.truncate(component / "out", keep_out)
            os.truncate(component / "err", keep_err)
        about = read_about(component)
        _write(
            component,
            About(name=about.name, started=about.started, ended=ended, exit=exit, truncated=truncated),
        )
        return truncated


def read_about(component: Path) -> About:
    """What component.json says; an empty one if it is missing or damaged (a log is readable whatever happened)."""
    try:
        with open(component / "component.json", "rb") as file:
            return msgspec.json.decode(file.read(65536), type=About)
    except (OSError, msgspec.MsgspecError):
        return About()


def _last(times: int) -> tuple[int, int]:
    size = os.fstat(times).st_size
    # A power cut or a full disk may leave half a line; only a complete one counts.
    for line in reversed(os.pread(times, 256, max(0, size - 256)).split(b"\n")[:-1]):
        words = line.split()
        if len(words) == 3 and all(word.isdigit() for word in words):
            return int(words[1]), int(words[2])
    return 0, 0


def _write(component: Path, about: About) -> None:
    fresh = component / ".component.json.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n")
    fresh.replace(component / "component.json")
