"""Spreads the pages of many builds over the processors: each process reads, judges and renders its share."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait

import msgspec

from citgit.errors import Errored
from citgit.pages.summary import Summary

_LEAST = 200
"""Builds for which a process of their own pays."""

_EVERY = 50

Read = Callable[[str], Summary]
Write = Callable[[Mapping[str, Summary]], Callable[[str], None]]
"""Given all summaries, what writes the page of one build."""


def pays(count: int) -> bool:
    """Whether more processes than this one are worth it, and may be forked: threads would not come along."""
    return count >= 2 * _LEAST and _processors() > 1 and threading.active_count() == 1


def spread(
    builds: Sequence[str], known: Mapping[str, Summary], read: Read, write: Write, tick: Callable[[float], None]
) -> dict[str, Summary]:
    """Reads the builds and writes their pages in forked processes; all summaries, with those that were `known`.

    A page shows other builds too, so nobody writes before everybody has read; each process keeps what it read.
    `tick` is told of builds as they are done. Raises Errored if a process ends: the same work in this one says why.
    """
    context = multiprocessing.get_context("fork")
    size = -(-len(builds) // min(_processors(), len(builds) // _LEAST))
    hands, pipes = [], []
    found = dict(known)
    try:
        for at in range(0, len(builds), size):
            ours, theirs = context.Pipe()
            hands.append(context.Process(target=_hand, args=(theirs, builds[at : at + size], read, write), daemon=True))
            hands[-1].start()
            theirs.close()
            pipes.append(ours)
        found |= _answers(pipes, tick)
        whole = msgspec.msgpack.encode(found)
        for pipe in pipes:
            pipe.send(whole)
        _answers(pipes, tick)
    except (EOFError, OSError) as error:
        raise Errored("a process that renders pages ended") from error
    finally:
        for hand in hands:
            hand.terminate()
            hand.join()
    return found


def _hand(pipe: Connection, share: Sequence[str], read: Read, write: Write) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits for this ends it
    gc.disable()  # what is read is kept, and would be looked through again and again
    with contextlib.suppress(Exception):  # what is wrong is said by whoever does it again
        found = {}
        for at, build in enumerate(share, 1):
            found[build] = read(build)
            if at % _EVERY == 0:
                pipe.send(_EVERY)
        pipe.send(msgspec.msgpack.encode(found))
        page = write(_decoded(pipe.recv()))
        for at, build in enumerate(share, 1):
            page(build)
            if at % _EVERY == 0:
                pipe.send(_EVERY)
        pipe.send(msgspec.msgpack.encode({}))


def _answers(pipes: Sequence[Connection], tick: Callable[[float], None]) -> dict[str, Summary]:
    """What all processes found; numbers before that are builds that they have done half of."""
    found: dict[str, Summary] = {}
    waiting = set(pipes)
    while waiting:
        for pipe in wait(list(waiting)):
            assert isinstance(pipe, Connection)
            said = pipe.recv()
            if isinstance(said, bytes):
                found |= _decoded(said)
                waiting.discard(pipe)
            else:
                tick(said / 2)
    return found


def _decoded(said: bytes) -> dict[str, Summary]:
    return msgspec.msgpack.decode(said, type=dict[str, Summary])


def _processors() -> int:
    return len(os.sched_getaffinity(0))
