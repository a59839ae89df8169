"""Buildbot on this machine, beside citgit: a master and two workers of its own making, installed for this run alone.

It is installed from the package index into a folder that is removed afterwards. The master asks itself, so that no
client's start counts; two workers with one place each are what two slots are here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from bench.stage import median, percentile

COUNT = 60
ASKED = 12
PATIENCE_S = 100.0

_MASTER = """
from buildbot.plugins import schedulers, steps, util, worker
from buildbot.schedulers.base import BaseScheduler
from twisted.internet import defer, task


class Asking(BaseScheduler):
    "Asks for as many builds as a file says, as soon as it is there."

    @defer.inlineCallbacks
    def activate(self):
        yield super().activate()
        yield self.master.mq.startConsuming(self._done, ("builds", None, "finished"))
        task.LoopingCall(self._look).start(0.002)

    def _done(self, key, build):
        with open({done!r}, "a") as file:
            file.write("x")

    @defer.inlineCallbacks
    def _look(self):
        try:
            with open({ask!r}) as file:
                count = int(file.read())
        except FileNotFoundError:
            return
        __import__("os").unlink({ask!r})
        for _ in range(count):
            yield self.addBuildsetForSourceStampsWithDefaults("asked", [], False)


c = BuildmasterConfig = {{
    "workers": [worker.Worker(name, "secret") for name in ("one", "two")],
    "protocols": {{"pb": {{"port": "tcp:{port}:interface=127.0.0.1"}}}},
    "schedulers": [Asking(name="ask", builderNames=["noop"])],
    "builders": [util.BuilderConfig(
        name="noop", workernames=["one", "two"], collapseRequests=False,
        factory=util.BuildFactory([steps.ShellCommand(command=["sh", "-c", "echo >>{started}"])]),
    )],
    "db": {{"db_url": "sqlite:///state.sqlite"}},
    "buildbotNetUsageData": None,
}}
"""


def measure(count: int = COUNT, asked: int = ASKED) -> dict[str, float]:
    """Milliseconds from a request to the start of its command, and no-op builds per second, `count` of them queued."""
    with tempfile.TemporaryDirectory(prefix="cit-bench-") as name:
        top = Path(name)
        programs = _installed(top)
        if programs is None:
            print("buildbot: it cannot be installed here, so there is nothing to compare with", file=sys.stderr)
            return {}
        try:
            _set_up(top, programs)
            waited = [_asked(top) for _ in range(asked)][2:]
            began = time.monotonic()
            _ask(top, count)
            _await(top / "done", asked + count)
            took = time.monotonic() - began
        finally:
            for place, program in (("one", "buildbot-worker"), ("two", "buildbot-worker"), ("master", "buildbot")):
                if (top / place).is_dir():
                    _run(top, programs, program, "stop", place, check=False)
    return {
        "request to start p50 ms": median(waited), "request to start p95 ms": percentile(waited, 0.95),
        "builds/s": count / took,
    }  # fmt: skip


def _installed(top: Path) -> Path | None:
    """The folder of its programs; None if there is no way to get them."""
    venv.create(top / "venv", with_pip=True)
    programs = top / "venv" / "bin"
    argv = [str(programs / "python"), "-m", "pip", "-q", "--disable-pip-version-check", "install"]
    done = subprocess.run([*argv, "buildbot", "buildbot-worker"], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-1000:], file=sys.stderr)
    return None if done.returncode else programs


def _set_up(top: Path, programs: Path) -> None:
    port = 20_000 + os.getpid() % 20_000
    paths = {"ask": top / "ask", "done": top / "done", "started": top / "started"}
    _run(top, programs, "buildbot", "create-master", "master")
    config = _MASTER.format(port=port, **{key: str(path) for key, path in paths.items()})
    (top / "master" / "master.cfg").write_text(config)
    _run(top, programs, "buildbot", "start", "master")
    for name in ("one", "two"):
        _run(top, programs, "buildbot-worker", "create-worker", name, f"127.0.0.1:{port}", name, "secret")
        _run(top, programs, "buildbot-worker", "start", name)


def _run(top: Path, programs: Path, program: str, *argv: str, check: bool = True) -> None:
    done = subprocess.run([str(programs / program), *argv], cwd=top, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{program} {' '.join(argv)} failed with {done.returncode}:\n{done.stdout}{done.stderr}")


def _asked(top: Path) -> float:
    """Milliseconds until the command of one build starts; returns when the build is over."""
    started, done = (_size(top / name) for name in ("started", "done"))
    began = time.monotonic()
    _ask(top, 1)
    _await(top / "started", started + 1)
    took = (time.monotonic() - began) * 1000
    _await(top / "done", done + 1)
    time.sleep(0.03)
    return took


def _ask(top: Path, count: int) -> None:
    (top / "ask.new").write_text(str(count))
    (top / "ask.new").rename(top / "ask")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _await(path: Path, size: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while _size(path) < size:
        if time.monotonic() > end:
            raise RuntimeError(f"Buildbot did not get on: {_size(path)} of {size} in {path.name}")
        time.sleep(0.001)
