"""The promises of the protocol hold in generated histories; `make soak` runs many more."""

from __future__ import annotations

import pytest

from citgit.testing.simulation import Trace


@pytest.mark.parametrize("first", range(1000, 1500, 25))
def test_promises(first: int) -> None:
    """In 25 histories each: nothing accepted is lost, one final record each, nothing archived runs again."""
    executed = 0
    for seed in range(first, first + 25):
        trace = Trace(seed)
        trace.run()
        trace.check()
        executed += sum(trace.executed.values())
    assert executed > 25
