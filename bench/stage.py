"""What measurements stand on: a project with a job, its state, an enrolled agent, and a worker process."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import citgit
from citgit.flows.enqueue import Change, Wish, enqueue_person
from citgit.flows.poll import poll
from citgit.flows.state import Actor, Snapshot
from citgit.flows.writing import write
from citgit.keys.generate import generate
from citgit.wiring.clone import Clone, open_clone

AGENT = "lab1"
PATIENCE = 120.0

JOBS = """
[job.noop]
command = ["true"]
[job.noop.place]
executor = "process"

[job.tell]
command = ["sh", "-c", "echo >told"]
[job.tell.place]
executor = "process"

[job.flood]
command = ["dd", "if=/dev/zero", "bs=1M", "count=1024", "status=none"]
[job.flood.place]
executor = "process"
[job.flood.limits]
output = "2 GiB"

[job.drip]
command = ["sh", "-c", "for i in $(seq 60); do dd if=/dev/zero bs=1M count=1 status=none; sleep 0.1; done"]
[job.drip.place]
executor = "process"
"""


class Stage:
    """A project below `top`: `clone` (a checkout with a key), `state` (the bare repository with code and state)."""

    def __init__(self, top: Path, jobs: str = "") -> None:
        self._jobs = JOBS + jobs
        self.top = top
        self.state = top / "project.git"
        self.checkout = top / "clone"
        # as a user has it: installed, so with its byte code beside it
        compileall.compile_dir(Path(citgit.__file__).parent, quiet=2)
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "CIT", "PYTHON"))},
            "HOME": str(top), "CITGIT_HOME": str(top / "citgit"), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "anna@example.org", "GIT_COMMITTER_NAME": "anna",
            "GIT_COMMITTER_EMAIL": "anna@example.org",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip
        os.environ.update({"CITGIT_HOME": self.env["CITGIT_HOME"], "HOME": str(top), "GIT_CONFIG_NOSYSTEM": "1"})
        self._prepare()

    def run(self, *argv: str, cwd: Path | None = None) -> str:
        """A command in the clone; its stdout. Raises CalledProcessError."""
        done = subprocess.run(argv, cwd=cwd or self.checkout, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def cit(self, *argv: str) -> list[str]:
        """The argument vector of a cit command in a process of its own."""
        return [str(Path(sys.executable).parent / "cit"), *argv]

    def _prepare(self) -> None:
        self.run("git", "init", "--quiet", "--bare", "-b", "main", str(self.state), cwd=self.top)
        self.run("git", "-C", str(self.state), "config", "core.fsync", "all", cwd=self.top)
        self.run("git", "clone", "--quiet", str(self.state), str(self.checkout), cwd=self.top)
        self.run("git", "checkout", "--quiet", "-B", "main")
        told = self.top / "told"
        os.mkfifo(told)
        (self.checkout / "cit.toml").write_text(self._jobs.replace(">told", f">{told}"))
        (self.checkout / "README").write_text("a project to measure with\n")
        self.run("git", "add", ".")
        self.run("git", "commit", "--quiet", "-m", "A project")
        self.run(*self.cit("init", "--name", "anna"))
        key = Path(self.env["CITGIT_HOME"]) / "keys" / AGENT
        public = generate(key, AGENT)
        with open(self.checkout / "team.toml", "a") as team:
            team.write(f'\n[agent.{AGENT}]\nkey = "{public}"\npools = ["default"]\nslots = 2\n')
        self.run("git", "commit", "--quiet", "-am", "An agent")
        self.run("git", "push", "--quiet", "origin", "main")
        self.run(*self.cit("policy", "publish"))

    def requester(self) -> Requester:
        """A process-long requester, as a hook or a service would be."""
        return Requester(self)

    @contextmanager
    def worker(self, *options: str, url: str = "") -> Iterator[Worker]:
        """A worker that has said that it is ready."""
        worker = Worker(self, url or str(self.state), *options)
        try:
            yield worker
        finally:
            worker.end()


class Requester:
    """Requests builds of the newest commit, having everything open."""

    def __init__(self, stage: Stage) -> None:
        self.clone: Clone = open_clone(stage.checkout)
        self.actor: Actor = self.clone.actor()
        self.snapshot: Snapshot = poll(self.clone.state)
        self.commit = stage.run("git", "rev-parse", "HEAD").strip()

    def ask(self, job: str, count: int = 1) -> None:
        """Requests, each accepted when this returns."""
        change = Change(url=str(self.clone.git_dir), branch="main", commit=self.commit)
        drafts = []
        for _ in range(count):
            wish = Wish(jobs=(job,))
            drafts += enqueue_person(self.clone.state, self.actor, self.snapshot, self.clone.doors, change, wish)
        for start in range(0, len(drafts), 100):
            write(self.clone.state, self.actor, drafts[start : start + 100])


class Worker:
    """`cit worker --json` in a process of its own."""

    def __init__(self, stage: Stage, url: str, *options: str) -> None:
        self.errors = tempfile.TemporaryFile(dir=stage.top)  # noqa: SIM115
        self.process = subprocess.Popen(
            [*stage.cit("worker"), "--agent", AGENT, "--url", url, "--home", str(stage.top / "home"), "--own",
             "--json", *options],
            cwd=stage.top, env=stage.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip
        self._deadline()
        self.await_events("serving", 1)

    def await_events(self, kind: str, count: int) -> str:
        """Reads until so many events of a kind have come; the words of the last. Raises RuntimeError."""
        assert self.process.stdout is not None
        left, event = count, {"text": ""}
        while left:
            line = self.process.stdout.readline()
            if not line:
                self.errors.seek(0)
                raise RuntimeError(f"the worker ended with {left} {kind!r} to come: {self.errors.read()[-2000:]!r}")
            event = json.loads(line)
            left -= event["event"] == kind
            if event["event"] == "error":
                print("worker:", event, file=sys.stderr)
        return str(event["text"])

    def pause(self) -> None:
        """Stops it where it is."""
        self.process.send_signal(signal.SIGSTOP)

    def go(self) -> None:
        """Lets it go on."""
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Ends it."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _deadline(self) -> None:
        import threading

        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.daemon = True
        timer.start()


@contextmanager
def stage(jobs: str = "") -> Iterator[Stage]:
    """A stage in a folder of its own, on the file system of the temporary directory; `jobs` are further ones."""
    top = Path(tempfile.mkdtemp(prefix="cit-bench-"))
    before = dict(os.environ)
    try:
        yield Stage(top, jobs)
    finally:
        os.environ.clear()
        os.environ.update(before)
        for _ in range(20):
            shutil.rmtree(top, ignore_errors=True)
            if not top.exists():
                break
            time.sleep(0.1)


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, without its children."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def median(values: list[float]) -> float:
    """The middle one."""
    chosen = sorted(values)
    middle = len(chosen) // 2
    return chosen[middle] if len(chosen) % 2 else (chosen[middle - 1] + chosen[middle]) / 2


def percentile(values: list[float], part: float) -> float:
    """The value that `part` of all do not exceed."""
    chosen = sorted(values)
    return chosen[min(len(chosen) - 1, int(part * len(chosen)))]
