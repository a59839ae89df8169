"""The server's judgement against honest people: a simulated team whose host judges every push loses nothing by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from stage import MemoryHosted

from citgit.flows.admit import admit
from citgit.interfaces import Answer, Oid, Pushed, Update
from citgit.testing.memory import MemoryObjects
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.trace import Trace

SEEDS = range(40, 46)


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_honest_is_refused(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delayed, doubled and lost pushes, crashes, takeovers, restores: what the lease lets through lands or was late."""
    trace = Trace(seed, PROFILES["mixed"])
    host, judged = trace.world.host, 0
    apply = host.apply

    def with_hook(update: Update, objects: Mapping[Oid, tuple[str, bytes]], *more: Any) -> Pushed:
        nonlocal judged
        if host.refs.get(update.ref) == update.old != update.new:
            state = trace.world.reader()
            store = MemoryObjects()
            store.content = {**host.objects.content, **objects}
            state.objects = store
            denied = admit(state, MemoryHosted(host), update)
            judged += 1
            assert denied is None or came_late(str(denied)), f"seed {seed}: {update}: {denied}"
            if denied:
                return Pushed(update, Answer.DENIED, str(denied))
        return apply(update, objects, *more)

    monkeypatch.setattr(host, "apply", with_hook)
    trace.run()
    trace.check()
    assert judged > 20


def came_late(words: str) -> bool:
    """What honest people are refused: their build was archived, or they were dropped, while the push was on its way.

    Or the host came back from a backup, without the build whose promise they keep: it is asked for again later.
    """
    return "archived: " in words or "is not agent of the pool" in words or "no valid record promises" in words
