"""Worlds for the fault tests, seeds for what is random, and for each failure the command that repeats it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from world import ROUNDS, World


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure ends with the command that repeats it; the seed is in the test's name."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        rounds = f"CIT_ROUNDS={ROUNDS} " if ROUNDS > 1 else ""
        report.sections.append(("again", f"{rounds}.venv/bin/pytest -n 0 '{item.nodeid}'"))


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
