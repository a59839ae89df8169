"""Worlds for the fault tests, seeds for what is random, and for each failure the command that repeats it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from world import World


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
