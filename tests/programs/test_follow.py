"""How often whoever follows builds asks the host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from citgit.programs.follow import Follower
from citgit.testing.clock import FakeClock


class Chatty(Follower):
    """A build that prints all the time, and is over at the fifth look."""

    looks: list[float]

    def refresh(self) -> list[str]:
        """Notes when."""
        self.looks.append(self.clone.state.clock.monotonic())
        return []

    def done(self) -> bool:
        """After five looks."""
        return len(self.looks) == 5

    def output(self) -> bool:
        """A line, every 20 ms."""
        clock: Any = self.clone.state.clock
        clock.advance(0.02)
        return True


def test_output_makes_nobody_ask_sooner() -> None:
    """Twice a second, whatever comes meanwhile."""
    clone: Any = SimpleNamespace(state=SimpleNamespace(clock=FakeClock()))
    follower = Chatty(clone, [], lambda kind, build, text: None)
    follower.looks = []
    follower.until_final()
    assert all(later - sooner >= 0.5 for sooner, later in zip(follower.looks, follower.looks[1:], strict=False))
