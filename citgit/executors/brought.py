"""Files that another machine sends, one after the other, to names that were asked for: nothing else is ever written.

Each comes as a line "SIZE MARK PATH" and so many bytes, in the order in which they were asked for; "- - PATH" is one
that is not there. The paths are this machine's own words, so what the other one says can only break the transfer.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from citgit.errors import Errored
from citgit.model.pattern import pattern

_HEAD = pattern(rb"(?P<size>[0-9]{1,15}|-) (?P<mark>[-x]) (?P<path>.+)\n")
_LONGEST = 1 << 14
_BLOCK = 1 << 20


def land(pipe: io.RawIOBase, wanted: Sequence[tuple[str, Path]], limit: int) -> list[Path]:
    """Writes what comes to the path that goes with each name, at most `limit` bytes in all; those that came.

    The folders are made, no link is followed. Raises Errored if the stream is not what was asked for, OSError.
    """
    stream: io.BufferedReader = io.BufferedReader(pipe, _BLOCK)
    came = []
    for name, target in wanted:
        head = _HEAD.fullmatch(stream.readline(_LONGEST))
        if head is None or head["path"] != os.fsencode(name):
            raise Errored(f"the transfer broke off before {name!a}")
        if head["size"] == b"-":
            continue
        limit -= (size := int(head["size"]))
        if limit < 0:
            raise Errored(f"the files are too large: no room is left for {name!a}", hint="keep less, or archive it")
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o700 if head["mark"] == b"x" else 0o600
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with open(handle, "wb") as file:
            _copy(stream, file, size, name)
        came.append(target)
    return came


def _copy(stream: io.BufferedReader, file: IO[bytes], size: int, name: str) -> None:
    while size:
        block = stream.read(min(size, _BLOCK))
        if not block:
            raise Errored(f"the transfer broke off within {name!a}")
        file.write(block)
        size -= len(block)


class Patient(io.RawIOBase):
    """A pipe that is read for as long as something comes at least every so many seconds. Raises Errored."""

    def __init__(self, pipe: IO[bytes], seconds: float) -> None:
        self._pipe, self._seconds = pipe, seconds

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Some bytes."""
        if not select.select([self._pipe], [], [], self._seconds)[0]:
            raise Errored(f"the transfer stood still for {self._seconds:g} s")
        data = os.read(self._pipe.fileno(), len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def asking(pipe: IO[bytes], words: bytes) -> Iterator[None]:
    """Writes `words` to the pipe meanwhile: who answers them may not read on before its answers are taken."""

    def write() -> None:
        with contextlib.suppress(OSError), pipe:
            pipe.write(words)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    yield
    writer.join(1)
