"""What a worker tells: what lasts once, everything else each time."""

from __future__ import annotations

from citgit.flows.telling import Event, Once


def test_what_lasts_is_told_once_and_again_when_it_changed() -> None:
    """A doubt that each poll finds anew is no news; one that went and came back is, and so are other words."""
    told: list[Event] = []
    once = Once()
    doubt, other = Event("doubt", "1", "the answer was lost"), Event("doubt", "1", "the lock is stale")
    for found in ([doubt], [doubt, doubt], [doubt, other], [other], [], [other, doubt]):
        once.turn()
        for each in found:
            once.pass_on(each, told.append)
    assert told == [doubt, other, other, doubt]


def test_events_are_told_each_time() -> None:
    """Two builds that end alike are two events."""
    told: list[Event] = []
    once = Once()
    for _ in "123":
        once.pass_on(Event("result", "1", "passed"), told.append)
    assert len(told) == 3
