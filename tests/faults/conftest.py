"""Worlds for the fault tests, seeds for what is random, a record of what ran, and how to repeat what failed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from world import RECORDS, ROUNDS, World


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure ends with the command that repeats it; the seed is in the test's name."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        rounds = f"CIT_ROUNDS={ROUNDS} " if ROUNDS > 1 else ""
        report.sections.append(("again", f"{rounds}.venv/bin/pytest -n 0 '{item.nodeid}'"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A campaign that goes on leaves out what has passed."""
    if not RECORDS or not (done := RECORDS / "tests.jsonl").exists():
        return
    told = [json.loads(line) for line in done.read_text().splitlines()]
    passed = {one["test"] for one in told if one["outcome"] == "passed"}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
    items[:] = [item for item in items if item.nodeid not in passed]


class Recorder:
    """Writes one line for each test that ended: how it did, how long it took, how many faults it tried."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest, for tests of other processes too."""
        assert RECORDS
        if report.when == "call":
            tried = dict(report.user_properties).get("tried", 0)
            line = {
                "test": report.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 1), "tried": tried,
                "ended": int(time.time()),
            }  # fmt: skip
            with open(RECORDS / "tests.jsonl", "a") as file:
                file.write(json.dumps(line) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    """Only one process records: the one that hands out the tests."""
    if RECORDS and not hasattr(config, "workerinput"):
        RECORDS.mkdir(parents=True, exist_ok=True)
        config.pluginmanager.register(Recorder())


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a world; everything that it started is gone afterwards."""
    made: list[World] = []

    def world(**options: object) -> World:
        made.append(World(tmp_path / f"w{len(made)}", **options))  # type: ignore[arg-type]
        return made[-1]

    yield world
    for one in made:
        one.close()
