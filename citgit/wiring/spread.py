"""Spreads work over the processors: forked processes take turns at the same list of tasks, results come in order."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from citgit.machine import cpus

Task = TypeVar("Task")
Done = TypeVar("Done")

_END = "end"


def spread(tasks: Callable[[], Iterable[Task]], work: Callable[[Task], Done]) -> Iterator[Done]:
    """What `work` makes of each task, in their order.

    Every process goes through `tasks` by itself, so they should be cheap to tell; `work` may rest on anything that this
    process holds, and what it makes must be fit to be pickled. Where other threads run, or there is one processor only,
    this process does it all; so it does the rest after a process that ended.
    """
    hands = cpus() if threading.active_count() == 1 else 1
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    started = []
    done = 0
    try:
        with contextlib.suppress(EOFError, OSError):
            for at in range(hands if hands > 1 else 0):
                ours, theirs = context.Pipe(duplex=False)
                pipes.append(ours)
                hand = context.Process(target=_hand, args=(theirs, pipes, at, hands, tasks, work), daemon=True)
                hand.start()
                started.append(hand)
                theirs.close()
            while pipes:
                said: Any = pipes[done % hands].recv()
                if said == _END:
                    return
                done += 1
                yield said[0]
    finally:
        for hand in started:
            hand.kill()  # it only reads, and whoever forked it may have handlers of its own
            hand.join()
    for task in islice(tasks(), done, None):
        yield work(task)


def _hand(
    pipe: Connection, others: list[Connection], at: int, step: int, tasks: Callable[[], Iterable[Task]],
    work: Callable[[Task], Done],
) -> None:  # fmt: skip
    for one in others:
        one.close()  # or it would write on for ever once nobody reads any more
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever waits for this ends it
    gc.disable()  # what is read is kept, and would be looked through again and again
    with contextlib.suppress(Exception):  # what is wrong is said by whoever does it again
        for task in islice(tasks(), at, None, step):
            pipe.send((work(task),))
        pipe.send(_END)
