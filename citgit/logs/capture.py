"""Writes a component of a log tree: the command writes its streams itself, whoever polls adds the times."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from citgit.model.log import Count, refuse_exit
from citgit.model.record import Exit

VERSION = 1

INDEX = "index.json"
SECTIONS = "sections.json"

PARTS = "parts"
"""The directory in a component that holds its parts; a name of its own, so that a part can be called `out`."""

TOOLS = Path(__file__).with_name("tools")
"""The programs by which a build makes parts: POSIX shell, for a node that has nothing else."""

_LATER = (INDEX, SECTIONS, "out.zst", "err.zst")
"""What is made of a component after its end, by nobody but citgit."""

UNREADABLE = (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What reading a file of JSON raises that a build may have written."""

_DEPTH = 16
_MOST = 5000
_SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class About(msgspec.Struct, frozen=True, kw_only=True):
    """component.json: `started` and `ended` in unix ms, 0 while it runs; `truncated` if the limit cut it.

    `cpu_ms` is what its processes used, where whoever ran it could tell.
    """

    version: int = VERSION
    name: str = ""
    started: Count = 0
    ended: Count = 0
    exit: Exit = Exit()
    truncated: bool = False
    cpu_ms: Count = 0

    def __post_init__(self) -> None:
        refuse_exit(self.exit)


def sizes(component: Path) -> tuple[int, int]:
    """The bytes in out and err."""
    return os.stat(component / "out").st_size, os.stat(component / "err").st_size


class Capture:
    """The writer of log trees; it keeps no state but in the component's directory."""

    def begin(self, component: Path, name: str, started: int) -> None:
        """Makes the component with empty streams; `started` in unix ms. Raises OSError."""
        os.makedirs(component, mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(component / PARTS, 0o700)
        for stream in ("out", "err", "times"):
            os.close(os.open(f"{component}/{stream}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        _write(component, About(name=name, started=started))

    def mark(self, component: Path, ms: int) -> tuple[int, int]:
        """Notes how long the streams are `ms` after the start, if they grew; their sizes. Raises OSError."""
        out, err = sizes(component)
        _mark(os.open(component / "times", os.O_RDWR | os.O_APPEND), ms, out, err)
        return out, err

    def parts(self, component: Path, ms: int) -> int:
        """Marks all components below this one; the bytes that their streams hold in all.

        The build writes there: nothing is followed, and what is no regular file, or cannot be opened, is passed over.
        """
        written = 0
        for files, folder in _part_folders(component):
            out, err = (_size(name, folder) for name in ("out", "err"))
            written += out + err
            with contextlib.suppress(OSError):
                if "times" in files and stat.S_ISREG(os.stat("times", dir_fd=folder, follow_symlinks=False).st_mode):
                    _mark(os.open("times", os.O_RDWR | os.O_APPEND | _SAFE, dir_fd=folder), ms, out, err)
        return written

    def finish(self, component: Path, ended: int, exit: Exit, limit: int) -> bool:
        """Closes the component, cutting the streams to `limit` bytes in all; whether it had to. Raises OSError.

        What only citgit makes of an ended component goes away if the build put it there.
        """
        for folder in _folders(component):
            for name in _LATER:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=folder)
        out, err = sizes(component)
        # Neither stream may push the other out: each keeps at least half of the limit if it needs it.
        keep_out = min(out, max(limit - err, limit // 2))
        keep_err = min(err, limit - keep_out)
        truncated = (keep_out, keep_err) != (out, err)
        if truncated:
            os.truncate(component / "out", keep_out)
            os.truncate(component / "err", keep_err)
        with contextlib.suppress(OSError):
            (component / PARTS).rmdir()  # if the build made none
        about = read_about(component)
        _write(
            component,
            About(name=about.name, started=about.started, ended=ended, exit=exit, truncated=truncated),
        )
        return truncated


def _part_folders(component: Path) -> Iterator[tuple[list[str], int]]:
    """File names and descriptor of each component below this one, of a bounded number of them."""
    root = component / PARTS
    if not root.is_dir():
        return
    for seen, (path, folders, files, folder) in enumerate(os.fwalk(root, follow_symlinks=False)):
        if seen > _MOST or path.count(os.sep) - str(root).count(os.sep) > 2 * _DEPTH:
            folders.clear()
        elif "component.json" in files:
            yield files, folder


def _folders(component: Path) -> Iterator[int]:
    """Descriptors of the component and of those below it."""
    with contextlib.suppress(OSError):
        folder = os.open(component, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield folder
        finally:
            os.close(folder)
    for _, below in _part_folders(component):
        yield below


def _size(name: str, folder: int) -> int:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _mark(times: int, ms: int, out: int, err: int) -> None:
    try:
        if (out, err) != _last(times):
            os.write(times, f"{ms} {out} {err}\n".encode())
    finally:
        os.close(times)


def open_regular(path: Path) -> int:
    """A descriptor of the regular file at `path`, for reading; no link is followed. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | _SAFE)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"not a regular file: {str(path)!r}")
    return handle


def read_about(component: Path) -> About:
    """What component.json says; an empty one if it is missing or damaged (a log is readable whatever happened)."""
    try:
        with open(open_regular(component / "component.json"), "rb") as file:
            return msgspec.json.decode(file.read(65536), type=About)
    except UNREADABLE:
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
    fresh = f"{component}/.component.json.new"
    with open(fresh, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n")
    os.replace(fresh, f"{component}/component.json")
