"""The ssh program as a child of ours: bytes to it and from it within a time, its last words, its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence

from citgit.model.pattern import pattern
from citgit.ssh.messages import GREETING

CHUNK = 1 << 18

NOISE = 8192
"""Bytes of a login's own words that may come before the greeting."""

SSH_FAILED = 255
"""ssh's own status: the host is away, or does not let us in. Any other is what became of the command."""

opening = pattern(rb"(?:^|\n)" + GREETING.encode() + rb"((?: [0-9]{1,4}){1,20})\n")
"""How `cit-serve` begins, with the versions that it speaks."""

_UNPRINTABLE = pattern(r"[\x00-\x1f\x7f-\x9f]")


class Child:
    """A program that was started with pipes, in a session of its own. Raises OSError if it cannot be."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the child)
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, start_new_session=True
            )
        except OSError:
            self._words.close()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self.pid = self._process.pid

    def fileno(self) -> int:
        """Readable when it has said something."""
        return self._out

    def read(self, until: float, most: int = CHUNK) -> bytes | None:
        """Some bytes as soon as there are any, b"" if it has ended; None if it said nothing until then (monotonic)."""
        if not select.select([self._out], [], [], max(0.0, until - time.monotonic()))[0]:
            return None
        return os.read(self._out, most)

    def write(self, data: bytes, until: float) -> bool:
        """Whether it took all of that until then (monotonic). Raises OSError if it has ended."""
        view = memoryview(data)
        while view:
            if not select.select([], [self._in], [], max(0.0, until - time.monotonic()))[1]:
                return False
            view = view[os.write(self._in, view) :]
        return True

    def last_words(self) -> tuple[int, str]:
        """Its exit status, and the end of what it said on stderr, fit for a terminal; for one that has ended."""
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            status = SSH_FAILED
        self._words.seek(0)
        lines = (line.strip() for line in self._words.read(NOISE).decode(errors="replace").split("\n"))
        return status, printable("; ".join(filter(None, lines)))[-300:] or f"status {status}"

    def kill(self, number: int = signal.SIGTERM) -> None:
        """Ends it; who reads from it, in whatever thread, sees the end and closes it."""
        # the whole session: a user's own command may be a shell's, with ssh below it
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def close(self) -> None:
        """Ends it and closes its pipes; the other end notices by itself."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self.kill(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
                break
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if stream:
                    stream.close()
        self._words.close()


def printable(words: str) -> str:
    """Another machine's words without what would steer a terminal."""
    return _UNPRINTABLE.sub("?", words)
