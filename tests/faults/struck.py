"""A cit command whose process is killed before or after the n-th call of a step: `struck.py SPEC ARG…`.

SPEC is a JSON object: `when` ("before", "after", "list"), `step`, `nth` or `every`, `victim` ("worker", "shim", "log"
for the shim's helpers, "command"), `signal` ("SIGKILL"), and `mark`, a file that says that it was done. With "list"
nobody is killed and the file lists the steps that were made.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from citgit.programs import run, worker
from citgit.programs.cit import main
from citgit.testing.steps import Steps


class Strike:
    """What is to be done, and where."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.seen: Counter[str] = Counter()
        self.home = Path()

    def at(self, when: str, step: str) -> None:
        """A step begins or has been done."""
        if self.spec["when"] == "list":
            with open(self.spec["mark"], "a") as file:
                file.write(f"{when} {step}\n")
        if (when, step) != (self.spec["when"], self.spec["step"]):
            return
        self.seen[step] += 1
        if self.spec.get("every") or self.seen[step] == self.spec.get("nth", 1):
            Path(self.spec["mark"]).write_text(f"{when} {step}\n")
            self.strike(self.spec.get("victim", "worker"))

    def strike(self, victim: str) -> None:
        """Sends the signal to the worker itself, or to the processes of its attempts."""
        number = signal.Signals[self.spec.get("signal", "SIGKILL")]
        if victim == "worker":
            os.kill(os.getpid(), number)
            return
        for alive in self.home.glob("attempts/*/alive"):
            pids = [int(word) for word in alive.read_bytes().split()]
            below = [child.pid for child in psutil.Process(pids[0]).children() if child.pid not in pids]
            for pid in {"shim": pids[:1], "log": pids[1:], "command": below}.get(victim, []):
                os.kill(pid, number)


def wrap_worker(strike: Strike) -> None:
    """Wraps every part of the worker that the real program opens."""
    real = worker.open_worker

    def opened(url: str, home: Path, *args: Any, **options: Any) -> Any:
        made, steps = real(url, home, *args, **options), Steps(strike.at)
        strike.home = home
        made.state.remote = steps.wrapped("remote", made.state.remote)
        made.state.objects = steps.wrapped("objects", made.state.objects)
        made.state.tips = steps.wrapped("tips", made.state.tips)
        made.actor = replace(made.actor, journal=steps.wrapped("journal", made.actor.journal))
        shop: Any = made.workshop
        shop._sources = steps.wrapped("sources", shop._sources)
        shop._executors = {name: steps.wrapped("executor", each) for name, each in shop._executors.items()}
        made.workshop = made.attempts.workshop = steps.wrapped("workshop", shop)
        made.doors = replace(made.doors, sources=steps.wrapped("door", made.doors.sources))
        return made

    worker.open_worker = opened


def wrap_clone(strike: Strike) -> None:
    """Wraps the parts of a person's clone."""
    real = run.open_clone

    def opened(directory: Path) -> Any:
        clone, steps = real(directory), Steps(strike.at)
        clone.state.remote = steps.wrapped("remote", clone.state.remote)
        clone.state.objects = steps.wrapped("objects", clone.state.objects)
        actor = replace(clone.actor(), journal=steps.wrapped("journal", clone.actor().journal))
        return _Clone(clone, actor)

    run.open_clone = opened


class _Clone:
    """A clone whose actor's journal is wrapped."""

    def __init__(self, inner: Any, actor: Any) -> None:
        self._inner, self._actor = inner, actor

    def actor(self) -> Any:
        """Who asks."""
        return self._actor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


if __name__ == "__main__":
    chosen = Strike(json.loads(sys.argv[1]))
    wrap_worker(chosen)
    wrap_clone(chosen)
    sys.argv[1:] = sys.argv[2:]
    sys.exit(main())
