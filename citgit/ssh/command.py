"""One command at a host over ssh: what it is given, what it says, within a time."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from citgit.errors import RemoteAway

_SSH_FAILED = 255


@dataclass(frozen=True, slots=True)
class Said:
    """How a command at a host ended, and what it printed."""

    status: int
    out: bytes
    err: str


def call(argv: list[str], given: Iterable[bytes] = (), *, host: str, seconds: float) -> Said:
    """Runs the command line of a connection, `given` on its stdin. Raises RemoteAway if the host did not answer."""
    try:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise RemoteAway(f"cannot start ssh: {error.strerror}", hint="install an ssh client") from error
    try:
        out, err = process.communicate(b"".join(given), timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise RemoteAway(f"{host} did not answer within {seconds:g} s", hint=f"try: ssh {host} true") from None
    words = err.decode("utf-8", "replace").strip()
    if process.returncode == _SSH_FAILED:
        raise RemoteAway(f"cannot log in at {host}: {words[-300:] or 'ssh says nothing'}", hint=f"try: ssh {host} true")
    return Said(process.returncode, out, words)
