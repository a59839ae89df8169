"""What one turn writes, gathered into one push: many records cost little more than one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from citgit.flows.state import Actor, State
from citgit.flows.writing import Draft, push
from citgit.interfaces import Answer, Oid


@dataclass(slots=True)
class Outbox:
    """Signed records that are not pushed yet, at most one for each ref, and what is done with those that got through.

    Nothing in it rests on anything else in it: each was drafted from what the host showed before.
    """

    waiting: dict[str, tuple[Draft, Callable[[Draft], None]]] = field(default_factory=dict)

    def add(self, made: Draft, done: Callable[[Draft], None]) -> None:
        """One more record; of two for one ref the first stays, the other comes up again at the next turn."""
        self.waiting.setdefault(made.ref, (made, done))

    def count(self, kind: str) -> int:
        """The records of that type."""
        return sum(made.kind == kind for made, _ in self.waiting.values())

    def send(self, state: State, actor: Actor) -> Sequence[tuple[Draft, Callable[[Draft], None]]]:
        """Pushes everything; what got through, with what is to be done now. It is empty then, whatever happened."""
        batch = list(self.waiting.values())
        self.waiting.clear()
        answers = push(state, actor, [made for made, _ in batch]) if batch else []
        accepted: set[Oid | None] = {one.update.new for one in answers if one.answer is Answer.DONE}
        return [(made, done) for made, done in batch if made.new in accepted]
