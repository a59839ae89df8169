"""Builds that fork without end, hide, ignore TERM, flood their output or fill the disk: the worker stays."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from check import check
from services import need
from test_host import small_disk
from world import World, until

from citgit.model.record import Outcome

FORKS = """
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    for (int left = atoi(words[count - 1]); left > 0; left--)
        if (fork() == 0) {
            setsid();
            for (;;)
                pause();
        }
    creat("forked", 0600);
    for (;;)
        pause();
}
"""


def job(name: str, *command: str, more: str = "") -> str:
    """A job for cit.toml."""
    listed = ", ".join(f'"{word}"' for word in command)
    return f'[job.{name}]\nplace.executor = "process"\ncommand = [{listed}]\n{more}\n'


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.heavy)])
def test_forks(make: Callable[..., World], tmp_path: Path, count: int) -> None:
    """Thousands of processes, each in its own session and deaf to TERM, are gone within 5 s of the cancellation."""
    program = tmp_path / "forks"
    done = subprocess.run(["cc", "-O1", "-x", "c", "-o", str(program), "-"], input=FORKS.encode(), check=False)
    if done.returncode:
        need("a C compiler")
    world = make(extra=job("forks", str(program), str(count)))
    build = world.ask(1, "forks")[0]
    worker = world.worker()
    until("the forks", lambda: list(world.top.glob("lab1/workspaces/*/forked")))
    assert len(world.survivors()) > count
    world.cit("cancel", build)
    until("the order to stop", lambda: worker.told("stopping"))
    began = time.monotonic()
    until("all of them to be gone", lambda: not world.survivors())
    took = time.monotonic() - began
    world.until_archived()
    assert check(world)[build].outcome is Outcome.CANCELLED
    assert worker.process.poll() is None
    # five seconds of a machine of its own; TERM is given two of them
    assert took < 5 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), took


@pytest.mark.parametrize("size", [100, pytest.param(1024, marks=pytest.mark.heavy)])
def test_one_long_line(make: Callable[..., World], size: int) -> None:
    """Output without a line's end: kept, its end shown, and neither worker nor reader grows with it."""
    flood = f"head -c {size}M /dev/zero | tr '\\\\0' x"
    world = make(extra=job("flood", "sh", "-c", flood, more='limits.output = "2 GiB"'))
    build = world.ask(1, "flood")[0]
    worker = world.worker()
    most = 0
    while not world.is_archived(build):
        most = max(most, psutil.Process(worker.process.pid).memory_info().rss)
        time.sleep(0.05)
    found = check(world)[build]
    assert found.outcome is Outcome.PASSED
    assert found.result is not None
    assert found.result.log.out_bytes == size << 20
    assert most < 200 << 20
    assert len(world.cit("show", build)) < 100_000


@pytest.mark.heavy
def test_fills_its_disk(make: Callable[..., World], tmp_path: Path) -> None:
    """A build that writes until nothing is left fails by itself, and its result gets out all the same."""
    with small_disk(tmp_path / "disk", "96m"):
        world = make(extra=job("fill", "sh", "-c", "cat /dev/zero > all; echo full; exit 3"))
        world.home("lab1").symlink_to(tmp_path / "disk")
        build = world.ask(1, "fill")[0]
        worker = world.worker()
        until("the result", lambda: worker.told("result"))
        world.until_archived()
        assert check(world)[build].outcome in (Outcome.FAILED, Outcome.ERRORED)
        assert worker.process.poll() is None
