"""Runs a session over two descriptors: bytes in, bytes out, a look at the refs when something wakes it."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable

from citgit.interfaces import Waker
from citgit.ssh.session import Session

STALLED = 60.0
"""Seconds that a client may take for the rest of a message, or to take the rest of an answer."""

_LOOK = 1.0
"""Seconds between looks at the refs where nothing wakes."""

_CHUNK = 1 << 18


class Gone(Exception):
    """The client does not read any more."""


def serve(
    session: Session, source: int, sink: int, waker: Waker | None = None, *, idle: float,
    stalled: float = STALLED, clock: Callable[[], float] = time.monotonic,
) -> None:  # fmt: skip
    """Serves one client until it leaves, breaks the rules, or says nothing for `idle` seconds."""
    os.set_blocking(sink, False)
    heard = clock()
    try:
        send(sink, session.greeting(), stalled)
        while not session.ended:
            watched = waker.fileno() if waker else -1
            patience = idle if session.is_between else stalled
            left = heard + patience - clock()
            if left <= 0:
                send(sink, session.end("idle", f"nothing was heard for {patience:g} s"), stalled)
                return
            readable = select.select(
                [source, *([watched] if watched >= 0 else [])], [], [], left if watched >= 0 else min(left, _LOOK)
            )[0]
            if source in readable:
                data = os.read(source, _CHUNK)
                if not data:
                    return
                heard = clock()
                for answer in session.received(data):
                    send(sink, answer, stalled)
            if waker is None or watched < 0 or waker.drain():
                send(sink, session.look(), stalled)
    except (Gone, BrokenPipeError, ConnectionResetError):
        return


def send(sink: int, data: bytes | memoryview, stalled: float) -> None:
    """Writes all of it to a descriptor that does not block. Raises Gone if nobody takes any for `stalled` seconds."""
    view = memoryview(data)
    while view:
        if not select.select([], [sink], [], stalled)[1]:
            raise Gone
        try:
            view = view[os.write(sink, view) :]
        except BlockingIOError:
            continue
