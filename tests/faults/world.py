"""A real state repository with real workers as processes, a person who asks, and a folder that all of it is in."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from citgit.flows.builds import Repository
from citgit.flows.chains import descends
from citgit.flows.enqueue import Change, Wish, enqueue_person
from citgit.flows.poll import poll
from citgit.flows.writing import push
from citgit.git.objects import init_bare
from citgit.git.program import must, run
from citgit.interfaces import Answer, Entrusted
from citgit.keys.generate import generate
from citgit.model.build import Build
from citgit.wiring.clone import Clone, open_clone

CIT = (sys.executable, "-P", "-m", "citgit.programs.cit")
PATIENCE = float(os.environ.get("CIT_PATIENCE", "120"))

ROUNDS = int(os.environ.get("CIT_ROUNDS", "1"))
"""How many times each kind of fault is tried: `make soak` sets it."""

FULL = ROUNDS > 1
"""Whether campaigns are to have the size that docs/reliability.md promises of `make soak`."""

SEEDS = range(1, ROUNDS + 1)

Record = Callable[[str, object], None]
"""pytest's `record_property`: each test records how many faults it "tried"."""

RECORDS = Path(os.environ["CIT_RECORDS"]) if "CIT_RECORDS" in os.environ else None
"""Where campaigns leave their figures, if anywhere."""

JOBS = """
[job.quick]
limits.attempts = {tries}
command = ["sh", "-c", "echo $CIT_BUILD_ID $CIT_ATTEMPT >> {ran}"]
place.executor = "process"
[job.slow]
limits.attempts = {tries}
place.executor = "process"
command = ["sh", "-c", "echo $CIT_BUILD_ID $CIT_ATTEMPT >> {ran}; sleep {slow}; echo $CIT_ATTEMPT >> {ended}"]
[job.held]
place.executor = "process"
command = ["sh", "-c", "echo $CIT_BUILD_ID $CIT_ATTEMPT >> {ran}; until test -e {go}; do sleep 0.1; done"]
{extra}
"""


def patience(seconds: float) -> float:
    """A limit that a slow machine may stretch."""
    return seconds * PATIENCE / 120


def until(what: str, look: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Waits until `look` gives something true, which is returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


@dataclass(slots=True)
class Started:
    """A worker process; `log` holds its events."""

    agent: str
    process: subprocess.Popen[bytes]
    log: Path

    def events(self) -> list[dict[str, str]]:
        """What it told so far."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [one for one in found if isinstance(one, dict)]

    def told(self, kind: str, text: str = "") -> bool:
        """Whether it told an event of that kind whose text holds `text`."""
        return any(one["event"] == kind and text in one["text"] for one in self.events())

    def kill(self) -> None:
        """SIGKILL for the worker alone: its builds go on."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> int:
        """SIGTERM; its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=patience(60))


@dataclass
class World:
    """Everything below `top`. `url` is how workers and people reach the state repository `bare`.

    `network`: through link.py, as if over ssh; `channel`: to a host that has `cit-serve`.
    """

    top: Path
    agents: Sequence[str] = ("lab1",)
    ttl: int = 60
    beat: int = 20
    tries: int = 2
    slow: float = 3
    extra: str = ""
    network: bool = False
    channel: bool = False
    url: str = ""
    env: dict[str, str] = field(default_factory=dict)
    workers: list[Started] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    faults: int = 0

    def __post_init__(self) -> None:
        self.bare = self.top / "project.git"
        self.clone_dir = self.top / "clone"
        self.ran, self.ended, self.go = self.top / "ran", self.top / "ended", self.top / "go"
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "CIT"))},
            "HOME": str(self.top / "home"), "CITGIT_HOME": str(self.top / "home" / "citgit"),
            "GIT_CONFIG_NOSYSTEM": "1", **self.env,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip
        self.link = f"{sys.executable} -IS {Path(__file__).with_name('link.py')}"
        if self.network:
            self.url = f"ssh://node{self.bare}"
            self.env |= {
                "GIT_SSH_COMMAND": self.link, "GIT_SSH_VARIANT": "ssh", "FAULTS": str(self.top / "faults.json"),
                **({"SERVE": f"{sys.executable} -P -m citgit.programs.serve"} if self.channel else {}),
            }  # fmt: skip
        (self.top / "home").mkdir(parents=True)
        self._found()

    # -- making it --------------------------------------------------------------------------------------

    def _found(self) -> None:
        init_bare(self.bare)
        must(["symbolic-ref", "HEAD", "refs/heads/main"], git_dir=self.bare, doing="name the branch")
        self.git("clone", "--quiet", str(self.bare), str(self.clone_dir), cwd=self.top)
        self.git("checkout", "--quiet", "-B", "main")
        for name, value in (("user.name", "anna"), ("user.email", "anna@example.org")):
            self.git("config", name, value)
        text = JOBS.format(ran=self.ran, ended=self.ended, go=self.go, slow=self.slow, tries=self.tries,
                           extra=self.extra)  # fmt: skip
        (self.clone_dir / "cit.toml").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "jobs")
        self.cit("init", "--name", "anna")
        keys = self.top / "home" / "citgit" / "keys"
        with open(self.clone_dir / "team.toml", "a") as team:
            for agent in self.agents:
                team.write(f'\n[agent.{agent}]\nkey = "{generate(keys / agent, agent)}"\n')
            team.write(f'\n[limits]\nttl = "{self.ttl} s"\nbeat = "{self.beat} s"\n')
            team.write(f"attempts = {max(3, self.tries)}\n")
        self.git("commit", "--quiet", "--all", "--message", "agents")
        self.git("push", "--quiet", "origin", "main")
        self.cit("policy", "publish")

    def fault(self, **fault: object) -> None:
        """What the network does from now on (see link.py); nothing given: all is well."""
        self.faults += 1
        scratch = self.top / "faults.new"
        scratch.write_text(json.dumps({**fault, "number": self.faults}))
        scratch.replace(self.top / "faults.json")

    def struck(self) -> Counter[str]:
        """How often faults really did something, by "SERVICE MODE"."""
        path = self.top / "faults.json.struck"
        return Counter(path.read_text().splitlines() if path.exists() else [])

    def run(self, *argv: str, cwd: Path | None = None, ok: tuple[int, ...] = (0,)) -> str:
        """A command, in the clone unless told otherwise; its stdout."""
        done = subprocess.run(
            argv, cwd=cwd or self.clone_dir, env=self.env, capture_output=True, text=True, check=False,
            timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode in ok, (argv, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def git(self, *argv: str, cwd: Path | None = None) -> str:
        """A git command in the clone."""
        return self.run("git", *argv, cwd=cwd)

    def cit(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        """A cit command in the clone."""
        return self.run(*CIT, *argv, ok=ok)

    def home(self, agent: str) -> Path:
        """Where the worker of an agent keeps its files."""
        return self.top / agent

    # -- workers ----------------------------------------------------------------------------------------

    def worker(
        self, agent: str = "lab1", *options: str, program: Sequence[str] = CIT, env: Mapping[str, str] | None = None,
        slots: int = 1, interval: float = 0.2,
    ) -> Started:  # fmt: skip
        """Starts `cit worker` (or a program that wraps it) as a process."""
        path = self.top / f"{agent}-{len(self.workers)}.log"
        argv = [
            *program, "worker", "--json", "--agent", agent, "--url", self.url or str(self.bare),
            "--home", str(self.home(agent)), "--own", "--slots", str(slots), "--interval", str(interval),
            *(("--no-doors",) if "--doors" not in options else ()), *options,
        ]  # fmt: skip
        with open(path, "wb") as log:
            process = subprocess.Popen(
                argv, cwd=self.top, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.workers.append(Started(agent, process, path))
        return self.workers[-1]

    def close(self) -> None:
        """Kills everything that was started here, the builds too."""
        for worker in self.workers:
            if worker.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process.pid, signal.SIGCONT)
                worker.kill()
        mark = f"{self.top}/"
        for other in psutil.process_iter(["pid"]):
            with contextlib.suppress(psutil.Error, OSError):
                if other.pid != os.getpid() and any(mark in value for value in other.environ().values()):
                    other.kill()

    def survivors(self) -> list[str]:
        """The command lines of processes that builds here have left behind."""
        found = []
        for other in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                env = other.environ()
                if "CIT_ATTEMPT" in env and str(self.top) in env.get("CIT_WORKSPACE", ""):
                    found.append(" ".join(other.cmdline()))
        return found

    # -- asking and looking -----------------------------------------------------------------------------

    def open(self) -> Clone:
        """The clone as citgit sees it now; who asks in this process is anna."""
        return open_clone(self.clone_dir)

    def ask(self, count: int = 1, job: str = "quick") -> list[str]:
        """Requests builds; those that were acknowledged and read back count as accepted."""
        if not count:
            return []
        clone = self.open()
        actor, snapshot = clone.actor(), poll(clone.state)
        head = self.git("rev-parse", "HEAD").strip()
        change = Change(url=str(clone.git_dir), branch="main", commit=head)
        drafts = [
            one
            for _ in range(count)
            for one in enqueue_person(clone.state, actor, snapshot, clone.doors, change, Wish(jobs=[job]))
        ]
        answers = push(clone.state, actor, drafts)
        assert all(one.answer is Answer.DONE for one in answers), [one.message for one in answers][:3]
        there = clone.state.remote.fetch([clone.state.refs.builds()])
        asked = []
        for one in drafts:
            build = one.ref.rpartition("/")[2]
            tip = there.get(one.ref)
            if (tip and descends(clone.state, tip, one.new)) or self.is_archived(build):
                asked.append(build)
        assert len(asked) == len(drafts)
        self.accepted += asked
        return asked

    def active(self) -> list[str]:
        """The ids that still have a ref at the host; read with the git program."""
        listing = run(["for-each-ref", "--format=%(refname)", "refs/cit/builds/"], git_dir=self.bare)
        return [line.rpartition("/")[2] for line in listing.stdout.decode().splitlines()]

    def is_archived(self, build: str) -> bool:
        """Whether an archive at the host holds the build; read with the git program."""
        return build in self.archived()

    def archived(self) -> set[str]:
        """The ids in the archives at the host; read with the git program."""
        refs = run(["for-each-ref", "--format=%(refname)", "refs/cit/archive/"], git_dir=self.bare).stdout.decode()
        found = set()
        for ref in refs.split():
            names = run(["ls-tree", "-d", "-r", "--name-only", ref], git_dir=self.bare).stdout.decode().split()
            found |= {name.split("/")[1] for name in names if name.count("/") == 1}
        return found

    def until_archived(self, seconds: float = PATIENCE) -> None:
        """Waits until every accepted build is final and archived."""

        def done() -> bool:
            return not self.active() and set(self.accepted) <= self.archived()

        try:
            until("all builds to be archived", done, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; active: {self.active()[:5]}\n{self.story()}") from None

    def until_running(self, build: str) -> Path:
        """Waits until the build's command has begun; the attempt's directory."""
        until(f"{build} to run", lambda: build in self.executions())
        return next(path for path, found in self.attempts() if found == build)

    def attempts(self) -> Iterator[tuple[Path, str]]:
        """(directory, build) of every attempt on this machine."""
        for path in sorted(self.top.glob("*/attempts/*/attempt.json")):
            yield path.parent, str(json.loads(path.read_text())["build"])

    def executions(self) -> Counter[str]:
        """How often each build's command began."""
        lines = self.ran.read_text().splitlines() if self.ran.exists() else []
        return Counter(line.split()[0] for line in lines)

    def repository(self) -> Repository:
        """What the host holds, read anew."""
        clone = self.open()
        return Repository(clone.state, poll(clone.state))

    def build(self, build: str) -> Build:
        """One build as judged."""
        found = self.repository().find(build)
        assert found is not None, f"{build} is neither active nor archived"
        return found

    def kept(self, agent: str) -> list[Entrusted]:
        """What the agent's journal still holds."""
        from citgit.git.journal import FileJournal

        return FileJournal(self.home(agent) / "journal").entries()

    def story(self) -> str:
        """The last events of every worker, for a failure's message."""
        tails = (f"--- {one.log.name}\n" + one.log.read_text(errors="replace")[-1500:] for one in self.workers)
        return "\n".join(tails)
