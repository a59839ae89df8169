"""A plug-in of pytest for builds of citgit: each file of tests is a component of the log (docs/log-format.md).

It imports nothing of citgit: it runs in the project's own environment. Whatever goes wrong here, the tests go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import Any


def pytest_configure(config: Any) -> None:
    """Begins, unless this is one of several workers of pytest-xdist: their reports come to the one that leads."""
    log = os.environ.get("CIT_LOG", "")
    if log and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Parts(log), "cit-parts")


class _Parts:
    def __init__(self, log: str) -> None:
        self._parts = os.path.join(log, "parts")
        self._known: dict[str, _Part] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Writes what a test said and came to into the log of its file."""
        with contextlib.suppress(OSError):
            self._report(report)

    def pytest_sessionfinish(self, session: Any) -> None:
        """Ends all that have not ended."""
        for part in self._known.values():
            with contextlib.suppress(OSError):
                part.end()

    def _report(self, report: Any) -> None:
        name = report.nodeid.split("::")[0]
        part = self._known.get(name)
        if part is None:
            part = self._known[name] = _Part(self._parts, name)
        if report.when == "call" or report.outcome != "passed":
            part.say(f"{report.outcome.upper()} {report.nodeid} ({report.duration:.3f} s)\n")
        if report.outcome == "failed":
            part.failed = True
            part.say(f"{report.longreprtext}\n")
            for title, text in report.sections:
                part.say(f"---- {title} ----\n{text}\n")


class _Part:
    """One component: a directory with `out`, `err`, `times` and `component.json`."""

    def __init__(self, parts: str, name: str) -> None:
        safe = name.replace("/", ":")
        safe = f"_{safe}" if safe.startswith(".") else safe
        self._place = os.path.join(parts, safe)
        count = 1
        while os.path.lexists(self._place) and count < 1000:
            count += 1
            self._place = os.path.join(parts, f"{safe}.{count}")
        os.makedirs(self._place)
        self._started = time.time()
        self._size = 0
        self.failed = False
        for each in ("out", "err", "times"):
            with open(os.path.join(self._place, each), "wb"):
                pass
        self._about({})

    def say(self, text: str) -> None:
        """Writes, and notes when."""
        data = text.encode("utf-8", "replace")
        with open(os.path.join(self._place, "out"), "ab") as out:
            out.write(data)
        self._size += len(data)
        with open(os.path.join(self._place, "times"), "a") as times:
            times.write(f"{int((time.time() - self._started) * 1000)} {self._size} 0\n")

    def end(self) -> None:
        """Notes how it ended."""
        self._about({"ended": int(time.time() * 1000), "exit": {"status": int(self.failed)}})

    def _about(self, more: dict[str, object]) -> None:
        fresh = os.path.join(self._place, "component.new")
        with open(fresh, "w") as file:
            json.dump({"version": 1, "started": int(self._started * 1000), "ended": 0, **more}, file)
        os.replace(fresh, os.path.join(self._place, "component.json"))
