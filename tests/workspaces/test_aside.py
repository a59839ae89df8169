"""What takes long is done aside: other attempts go on meanwhile, and a worker that dies in it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from citgit.executors.local import LocalExecutor
from citgit.executors.process import PROCESS
from citgit.git.sources import Mirrors
from citgit.logs.capture import Capture
from citgit.model.job import Job, Keep, Where
from citgit.model.record import Cause, Claim, Config, Outcome, PinnedSource, Request, Result
from citgit.wiring import worker as wiring
from citgit.workspaces.parts import Found, Tools
from citgit.workspaces.workshop import NodeWorkshop

PATIENCE_S = 60.0
SLOW, QUICK = "a" * 40, "b" * 40
BUILDS = {SLOW: "01900000-0000-7000-8000-00000000000a", QUICK: "01900000-0000-7000-8000-00000000000b"}


class Gated(Mirrors):
    """Mirrors that check nothing out before somebody opens the gate."""

    def __init__(self, directory: Path, gate: Path) -> None:
        super().__init__(directory)
        self._gate = gate

    def checkout(self, url: str, commit: str, target: Path, *, submodules: bool) -> list[Path]:
        """Waits first, if it is by git."""
        if not self.is_light(url, commit):
            await_(self._gate.exists)
        return super().checkout(url, commit, target, submodules=submodules)


def await_(done: Callable[[], bool]) -> None:
    """Waits until it is so. Raises AssertionError."""
    end = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def project(tmp_path: Path) -> dict[str, str]:
    """A repository with a commit of 400 files, which only git checks out, and one of a single file; by claim."""
    top = tmp_path / "project"
    top.mkdir()

    def git(*argv: str) -> str:
        who = ["-c", "user.name=anna", "-c", "user.email=anna@example.org"]
        done = subprocess.run(["git", *who, *argv], cwd=top, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q", "-b", "main")
    (top / "one").write_text("1\n")
    git("add", ".")
    git("commit", "-q", "-m", "one file")
    small = git("rev-parse", "HEAD")
    for at in range(400):
        (top / f"file{at}").write_text(f"{at}\n")
    git("add", ".")
    git("commit", "-q", "-m", "many")
    return {QUICK: small, SLOW: git("rev-parse", "HEAD"), "url": str(top)}


def workshop(tmp_path: Path, project: dict[str, str], collect: Callable[[], None] = lambda: None) -> NodeWorkshop:
    """One over the same home as any earlier one; what it collects waits for `collect`."""

    def collected(workspace: Path, directory: Path, request: Request) -> Found:
        collect()
        return wiring._collect(None, workspace, directory, request)

    tools = Tools(
        environment=wiring._environment, choose=lambda known, wanted, own: "process", collect=collected,
        tail=wiring._tail, first_error=lambda log: None, components=wiring._components,
    )  # fmt: skip
    home = tmp_path / "home"
    return NodeWorkshop(
        home, project["url"], Gated(home / "mirrors", tmp_path / "gate"),
        {"process": LocalExecutor(PROCESS, Capture())}, tools,
    )  # fmt: skip


def start(shop: NodeWorkshop, project: dict[str, str], claim: str, *, keep: Keep | None = None) -> None:
    """Starts the attempt of that claim; it must not take long, whatever there is to do."""
    job = Job(command=("sh", "-c", "set -- *; echo $# >counted"), place=Where(executor="process"), keep=keep or Keep())
    request = Request(
        job="check", branch="main", config=Config(branch="main", commit=project[claim]), definition=job,
        sources=(PinnedSource(ref="refs/heads/main", commit=project[claim]),), cause=Cause(),
    )  # fmt: skip
    body = Claim(attempt=1, boot="boot", node="n")
    shop.start(BUILDS[claim], claim, request, body, own=True)


def result(shop: NodeWorkshop, claim: str) -> Result:
    """The attempt's result, once there is one."""
    await_(lambda: shop.poll(claim) is not None)
    found = shop.poll(claim)
    assert found is not None
    return found


def test_a_long_checkout_holds_nobody(tmp_path: Path, project: dict[str, str]) -> None:
    """While git checks one out, another attempt starts and ends; then the first one does."""
    shop = workshop(tmp_path, project)
    start(shop, project, SLOW)
    assert shop.poll(SLOW) is None
    start(shop, project, QUICK)
    assert result(shop, QUICK).outcome is Outcome.PASSED
    assert shop.poll(SLOW) is None
    assert shop.descriptors()
    (tmp_path / "gate").touch()
    assert result(shop, SLOW).outcome is Outcome.PASSED
    assert (tmp_path / "home" / "workspaces" / BUILDS[SLOW] / "counted").read_text().strip() == "401"
    for claim in (SLOW, QUICK):
        shop.finish(claim)
    assert shop.running() == {}
    assert shop.descriptors() == []


def test_a_long_end_holds_nobody(tmp_path: Path, project: dict[str, str]) -> None:
    """While artifacts are collected, whoever asks for the result is told at once that there is none yet."""
    gate = tmp_path / "collect"
    shop = workshop(tmp_path, project, lambda: await_(gate.exists))
    start(shop, project, QUICK, keep=Keep(artifacts=("counted",)))
    await_(lambda: shop.poll(QUICK) is None and bool(shop._aside.running))
    assert shop.poll(QUICK) is None
    gate.touch()
    found = result(shop, QUICK)
    assert [one.path for one in found.artifacts] == ["counted"]


def test_a_stop_ends_a_checkout(tmp_path: Path, project: dict[str, str]) -> None:
    """What is not wanted any more does not wait for git, and leaves no process."""
    shop = workshop(tmp_path, project)
    start(shop, project, SLOW)
    (pid,) = (child.pid for child in shop._aside.running.values())
    shop.stop(SLOW, "cancelled")
    assert result(shop, SLOW).outcome is Outcome.ERRORED
    assert not Path(f"/proc/{pid}").exists()


def test_a_killed_worker_leaves_no_half_checkout(tmp_path: Path, project: dict[str, str]) -> None:
    """The process dies with its worker; the next one begins anew and the attempt ends as if nothing had been."""
    told = tmp_path / "told"
    worker = os.fork()
    if not worker:
        try:
            shop = workshop(tmp_path, project)
            start(shop, project, SLOW)
            (child,) = shop._aside.running.values()
            told.with_suffix(".new").write_text(str(child.pid))
            told.with_suffix(".new").rename(told)
            time.sleep(PATIENCE_S)
        finally:
            os._exit(1)  # this is pytest too: it would go on with the next test
    await_(told.exists)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    await_(lambda: _is_gone(int(told.read_text())))
    (tmp_path / "gate").touch()
    shop = workshop(tmp_path, project)
    assert shop.running() == {SLOW: BUILDS[SLOW]}
    assert shop.poll(SLOW) is None
    start(shop, project, SLOW)
    assert result(shop, SLOW).outcome is Outcome.PASSED


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
