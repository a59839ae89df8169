"""A node whose clock is wrong by a day or by ten years, and one that steps during a build: the same final records."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from check import check
from disk import preloaded
from world import World, until

from citgit.model.record import Outcome

DAY, YEARS = 86400, 10 * 365 * 86400


@pytest.mark.parametrize(
    ("wrong", "then"),
    [
        pytest.param(YEARS, YEARS, id="ten-years-ahead"),
        pytest.param(-YEARS, -YEARS, id="ten-years-behind", marks=pytest.mark.heavy),
        pytest.param(DAY, DAY, id="a-day-ahead", marks=pytest.mark.heavy),
        pytest.param(-DAY, -DAY, id="a-day-behind", marks=pytest.mark.heavy),
        pytest.param(0, DAY, id="steps-ahead", marks=pytest.mark.heavy),
        pytest.param(YEARS, -YEARS, id="steps-back", marks=pytest.mark.heavy),
    ],
)
def test_wrong_clock(make: Callable[..., World], wrong: int, then: int) -> None:
    """Nothing is judged by it: no lease ends, no limit is hit, no record is refused; readers see whose clock is off."""
    world = make(agents=("lab1", "lab2"), ttl=8, beat=2)
    state = world.top / "wrong"
    state.write_bytes(struct.pack("q", wrong))
    env = {"LD_PRELOAD": preloaded(world.top, "clock"), "CIT_CLOCK_STATE": str(state)}
    build = world.ask(1, "held")[0]
    world.worker("lab1", env=env)
    world.until_running(build)
    other = world.worker("lab2")
    with open(state, "r+b") as file:
        file.write(struct.pack("q", then))
    quick = world.ask(1)[0]
    until("the other build to end", lambda: quick in world.archived())
    world.go.touch()
    world.until_archived()
    found = check(world)
    assert {one.outcome for one in found.values()} == {Outcome.PASSED}
    assert {one.valid_claims for one in found.values()} == {1}
    kinds = [entry.link.record.head.type for entry in found[build].entries if entry.link.record]
    assert kinds == ["request", "claim", "progress", "result"]
    assert not other.told("claimed", "takeover")
    shown = world.cit("show", build)
    assert "clocks disagree" in shown
