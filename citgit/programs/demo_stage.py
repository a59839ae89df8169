"""The demo's stage: a folder with a bare repository, a clone, made-up people, worker processes, and a narrator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import psutil

from citgit.errors import Errored
from citgit.flows.builds import Repository
from citgit.flows.poll import poll
from citgit.model.build import Build
from citgit.wiring.clone import Clone, open_clone

PATIENCE = 60.0
DATE = "2026-01-05T09:00:00+00:00"


class Stage:
    """Everything of one demo below `top`; `say` shows an event, `close` ends the workers.

    `told` are the records that were told, `printed` counts the lines of each log that were.
    """

    def __init__(self, top: Path, as_json: bool) -> None:
        self.top = top
        self.clone_dir = top / "clone"
        self.bare = top / "project.git"
        self._as_json = as_json
        self.told: set[str] = set()
        self.printed: dict[str, int] = {}
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._began = time.monotonic()
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
            "HOME": str(top / "home"), "CITGIT_HOME": str(top / "home" / "citgit"), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE, "GIT_AUTHOR_NAME": "anna",
            "GIT_AUTHOR_EMAIL": "anna@example.org", "GIT_COMMITTER_NAME": "anna",
            "GIT_COMMITTER_EMAIL": "anna@example.org",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }  # fmt: skip
        (top / "home").mkdir()

    def say(self, event: str, text: str, build: str = "") -> None:
        """Shows one event."""
        at = time.monotonic() - self._began
        if self._as_json:
            document = {"version": 1, "event": event, "build": build, "text": text, "ms": int(at * 1000)}
            click.echo(json.dumps(document))
        elif event == "chapter":
            click.echo("\n" + click.style(text, bold=True))
        elif event == "further":
            click.echo(f"    {text}")
        else:
            click.echo(f"{at:6.1f} s  {event:>8}  {text}")

    def run(self, *argv: str, cwd: Path | None = None, ok: tuple[int, ...] = (0,)) -> str:
        """A command of the story, in the clone unless told otherwise; its stdout. Raises Errored."""
        done = subprocess.run(
            argv, cwd=cwd or self.clone_dir, env=self.env, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        if done.returncode not in ok:
            words = (done.stdout + done.stderr)[-2000:]
            raise Errored(f"step failed with status {done.returncode}: {' '.join(argv)}\n{words}")
        return done.stdout + (done.stderr if argv[0] == "git" else "")

    def cit(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        """A cit command of the story."""
        return self.run(sys.executable, "-P", "-m", "citgit.programs.cit", *argv, ok=ok)

    def worker(self, agent: str) -> None:
        """Starts a worker process."""
        log = open(self.top / f"{agent}.log", "ab")  # noqa: SIM115
        self._workers[agent] = subprocess.Popen(
            [
                sys.executable, "-P", "-m", "citgit.programs.cit", "worker", "--agent", agent, "--url", str(self.bare),
                "--home", str(self.top / agent), "--own", "--interval", "0.5",
            ],
            cwd=self.top, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()

    def kill(self, agent: str) -> None:
        """Kills a worker and all that it runs, as a power cut would."""
        process = self._workers.pop(agent)
        process.kill()
        process.wait()
        for other in psutil.process_iter(["pid"]):
            try:
                if str(self.top / agent) in " ".join(other.environ().values()):
                    other.send_signal(signal.SIGKILL)
            except (psutil.Error, OSError):
                continue

    def close(self) -> None:
        """Ends the workers that still run."""
        for process in self._workers.values():
            process.terminate()
        for process in self._workers.values():
            process.wait(timeout=20)

    def open(self) -> Clone:
        """The clone as citgit sees it now."""
        return open_clone(self.clone_dir)

    def builds(self) -> list[Build]:
        """All builds, active and archived."""
        clone = self.open()
        repository = Repository(clone.state, poll(clone.state))
        found = {build.id: build for build in (*repository.archived(), *repository.active())}
        return [found[build] for build in sorted(found)]

    def until(self, what: str, look: Callable[[], Build | None]) -> Build:
        """Waits for a build; what happens meanwhile is shown by `look`. Raises Errored when it takes too long."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if found := look():
                return found
            time.sleep(0.2)
        logs = "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in sorted(self.top.glob("*.log")))
        raise Errored(f"waited {PATIENCE:.0f} s in vain for {what}\n{logs}")

    def git(self, *argv: str) -> str:
        """A git command in the clone."""
        return self.run("git", *argv)

    def bare_git(self, *argv: str) -> str:
        """A git command in the bare repository."""
        return self.run("git", "-C", str(self.bare), *argv)
