"""Which of the nodes that answered is the best for a build, and what is told of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from citgit.model.build import Build
from citgit.model.job import Env
from citgit.model.policy import PolicyView
from citgit.model.record import Decision
from citgit.model.request import Cause, Probed, Request
from citgit.rules.authority import fallen

MOST_TOLD = 16
"""Nodes that a request tells of; and of each so many reasons: a record has an end."""

_MOST_REASONS = 4
_MOST_WORDS = 200

HEAD_START = 10.0
"""Seconds for which a build is left to the agent that its requester found best; then anyone takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of asking one agent's node: `away` is why there was no answer, `seconds` how long it took."""

    agent: str
    host: str
    decisions: tuple[Decision, ...] = ()
    free: int = 0
    slots: int = 0
    load: float = 0.0
    warm: bool = False
    away: str = ""
    seconds: float = 0.0

    @property
    def lacks(self) -> list[Decision]:
        """Why it cannot take the build at once."""
        return [one for one in self.decisions if not one.ok]

    @property
    def fits(self) -> bool:
        """Whether it can build it now."""
        return not self.away and not self.lacks

    @property
    def busy(self) -> bool:
        """Whether it could build it if it had a free slot."""
        return not self.away and [one.check for one in self.lacks] == ["slot"]


def ranked(answers: Iterable[Answer]) -> list[Answer]:
    """The best first: those that can start now, by what they have already, load and free slots; then busy ones."""
    return sorted(
        answers,
        key=lambda one: (not one.fits, not one.busy, bool(one.away), not one.warm, one.load, -one.free, one.agent),
    )


def best(answers: Sequence[Answer], taken: Mapping[str, int]) -> str:
    """The agent that one more build goes to, "" if none has a free slot for it.

    `taken` counts the builds that were given away since the agents answered: those who got fewer come first.
    """
    free = [one for one in answers if one.fits and one.free > taken.get(one.agent, 0)]
    return min(free, key=lambda one: taken.get(one.agent, 0)).agent if free else ""


def question(request: Request) -> Request:
    """What a node is asked about a request: without all that is no reason to refuse it.

    Cells of a matrix that come to the same question are asked about once.
    """
    job = request.definition
    return msgspec.structs.replace(
        request, cause=Cause(), cell={}, upstream={}, promises=(),
        parameters=request.parameters if job.requires.can_build else {},
        definition=msgspec.structs.replace(job, command=(), env=Env(pass_=job.env.pass_, secrets=job.env.secrets)),
    )  # fmt: skip


def told(answers: Sequence[Answer]) -> tuple[Probed, ...]:
    """What a request says of them, so that it can be told later why the build went where it went."""
    return tuple(
        Probed(
            agent=one.agent, free=one.free, away=one.away[:_MOST_WORDS], ms=round(one.seconds * 1000),
            lacks=tuple(f"{each.check}: {each.found}"[:_MOST_WORDS] for each in one.lacks[:_MOST_REASONS]),
        )
        for one in answers[:MOST_TOLD]
    )  # fmt: skip


def is_left(build: Build, actor: str, policy: PolicyView, waited: float) -> bool:
    """Whether the actor leaves a build to the agent that its requester found best, after `waited` seconds."""
    first = build.request.prefer if build.request else ""
    if not first or f"agent:{first}" == actor or build.claims or waited >= HEAD_START:
        return False
    return not fallen(policy, f"agent:{first}")
