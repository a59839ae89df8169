"""Work that is spread over processes: in order, all of it, whatever becomes of a process."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from citgit.errors import NotFound
from citgit.wiring import spread as module
from citgit.wiring.spread import spread


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processors; a test runner's own threads are left out of it."""
    monkeypatch.setattr(module, "cpus", lambda: 3)
    monkeypatch.setattr(module.threading, "active_count", lambda: 1)


def counted(most: int) -> Callable[[], Iterator[int]]:
    """The numbers below it, told anew to each process."""
    return lambda: iter(range(most))


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4, 100])
def test_all_of_it_in_order(most: int) -> None:
    """Whether or not the tasks divide evenly."""
    assert list(spread(counted(most), lambda task: task * 2)) == [2 * each for each in range(most)]


def test_other_processes_do_it() -> None:
    """Three of them, each its third; this one none."""
    by = list(spread(counted(9), lambda task: os.getpid()))
    assert len(set(by)) == 3
    assert by[:3] * 3 == by
    assert os.getpid() not in by


def test_one_processor_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do threads come along in a fork."""
    monkeypatch.setattr(module, "cpus", lambda: 1)
    assert set(spread(counted(9), lambda task: os.getpid())) == {os.getpid()}


def test_what_a_process_leaves_is_done_here() -> None:
    """One that is killed loses nothing, and nothing is told twice."""
    parent = os.getpid()

    def work(task: int) -> int:
        if task == 4 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return task

    assert list(spread(counted(20), work)) == list(range(20))


def test_an_error_is_told_where_it_belongs() -> None:
    """What came before it is told first; the error is the work's own."""

    def work(task: int) -> int:
        if task == 5:
            raise NotFound("no five")
        return task

    seen: list[int] = []

    def take() -> None:
        for each in spread(counted(20), work):
            seen.append(each)

    with pytest.raises(NotFound, match="no five"):
        take()
    assert seen == [0, 1, 2, 3, 4]


def test_a_parent_that_is_killed_leaves_no_process() -> None:
    """Its processes would write on into a pipe that nobody reads, with all that it had in memory."""
    ours, theirs = os.pipe()
    parent = os.fork()
    if parent == 0:
        found = spread(counted(1_000_000), lambda task: b"x" * 100_000)
        next(found)
        os.write(theirs, b"%d\n" % len(psutil.Process().children()))
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(theirs)
    with os.fdopen(ours) as told:  # its end is that nobody has the other one any more
        assert told.readline() == "3\n"
        assert told.read() == ""
    os.waitpid(parent, 0)


def test_where_no_process_can_be_made_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may be full of them."""

    def refuse() -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(os, "fork", refuse)
    assert list(spread(counted(5), lambda task: task)) == [0, 1, 2, 3, 4]


def children() -> set[int]:
    """The processes below this one that run; other tests may have left some that nobody reaped."""
    return {one.pid for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE}


def test_whoever_has_enough_leaves_no_process() -> None:
    """As with `| head`; whatever a program that forks them does about signals."""

    def work(task: int) -> int:
        time.sleep(0 if task < 3 else 60)
        return task

    handled = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        before = children()
        found = spread(counted(20), work)
        assert [next(found) for _ in range(3)] == [0, 1, 2]
        assert len(children() - before) == 3
        found.close()  # type: ignore[attr-defined]
        assert children() <= before
    finally:
        signal.signal(signal.SIGTERM, handled)
