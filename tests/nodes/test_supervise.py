"""What keeps a worker alive: how it starts, wakes and ends one, and how others see whether it is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from world import until

from citgit.machine import lock, process_start
from citgit.nodes.settings import AgentFiles, agent_files
from citgit.nodes.supervise import Machine, running, start, stop, wake

MACHINE = Machine(lock, process_start)
SUPERVISE = """
import sys, pathlib
from citgit.machine import lock, process_start
from citgit.nodes.settings import agent_files
from citgit.nodes.supervise import Machine, Supervisor
files = agent_files(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1]), "lab1")
sys.exit(Supervisor(files, sys.argv[2:], Machine(lock, process_start), grace=0.5, pauses=(600,)).serve())
"""


def kept(tmp_path: Path, worker: str) -> tuple[AgentFiles, list[str]]:
    """The files of an agent whose worker is this line of shell, and the command line of its supervisor."""
    files = agent_files(tmp_path, tmp_path, "lab1")
    return files, [sys.executable, "-c", SUPERVISE, str(tmp_path), "sh", "-c", worker]


def pids(tmp_path: Path) -> list[int]:
    """The workers that have been started."""
    told = tmp_path / "pids"
    return [int(line) for line in told.read_text().split()] if told.exists() else []


def test_one_that_has_ended_does_not_run_although_nobody_asked_for_its_status() -> None:
    """As an orphan's parent may never do: the first process of a container, or a process that runs executors."""
    ended = subprocess.Popen(["true"])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(ended.pid) is None
    ended.wait()
    assert process_start(os.getpid()) is not None


def test_it_ends_with_its_worker(tmp_path: Path) -> None:
    """The supervisor is this test's child, and stays a zombie: nobody waits half a minute for it."""
    files, argv = kept(tmp_path, f"echo $$ >> {tmp_path}/pids; exec sleep 60")
    assert start(files, MACHINE, argv, tmp_path)
    until("the worker", lambda: pids(tmp_path), 20)
    assert stop(files, MACHINE)
    assert not running(files, MACHINE)
    assert process_start(pids(tmp_path)[0]) is None
    assert not stop(files, MACHINE)


@pytest.mark.parametrize("worker", ["trap '' TERM; ", ""])
def test_it_ends_at_whatever_moment(tmp_path: Path, worker: str) -> None:
    """While it starts a worker, and with one that does not listen."""
    files, argv = kept(tmp_path, f"{worker}echo $$ >> {tmp_path}/pids; while :; do sleep 0.1; done")
    start(files, MACHINE, argv, tmp_path)
    if worker:
        until("the worker", lambda: pids(tmp_path), 20)
    assert stop(files, MACHINE)
    assert [pid for pid in pids(tmp_path) if process_start(pid)] == []


def test_a_wake_ends_no_worker_that_is_not_ready_for_it(tmp_path: Path) -> None:
    """It goes on; should it end, because it had looked before, the next one is started at once."""
    files, argv = kept(tmp_path, f"echo $$ >> {tmp_path}/pids; exec sleep 60")
    start(files, MACHINE, argv, tmp_path)
    until("the worker", lambda: pids(tmp_path), 20)
    for number in range(1, 4):
        assert wake(files, MACHINE)
        with pytest.raises(AssertionError):
            until("another one", lambda number=number: len(pids(tmp_path)) > number, 0.3)
        os.kill(pids(tmp_path)[-1], signal.SIGKILL)
        # without the wake: in ten minutes
        until("another one", lambda number=number: len(pids(tmp_path)) > number, 20)
    stop(files, MACHINE)
