"""Starts builds at once: the nodes are asked, a free one is named in each request and its worker woken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import click
import msgspec

from citgit.errors import NotFound
from citgit.model.record import Promise, Request
from citgit.model.team import Team
from citgit.programs.wording import plain
from citgit.rules.ranking import Answer, best, question, told
from citgit.wiring.clone import Clone

Build = tuple[Request, str, str]
"""A build that is asked for: its request, its pool and its id."""


class Starting:
    """Where the builds of one `cit run` are to start; `on` is the agent that the person named, "" for any."""

    def __init__(self, clone: Clone, team: Team, on: str = "") -> None:
        self._clone = clone
        self._team = team
        self._on = on
        self._chosen: Counter[str] = Counter()
        self._answers: dict[tuple[str, bytes], list[Answer]] = {}

    def placed(self, builds: Sequence[Build]) -> list[Build]:
        """The builds, those that can start now with an agent that has a free slot; unchanged if none can be asked.

        Every agent is asked once about all the cells of a matrix, and each cell counts as taking a slot.
        """
        if self._on:
            return list(builds)
        alike = Counter(key for build in builds for key in _keys(*build[:2]))
        return [(self._placed(request, pool, alike), pool, build) for request, pool, build in builds]

    def _placed(self, request: Request, pool: str, alike: Counter[tuple[str, bytes]]) -> Request:
        answers = self._said(request, pool, alike)
        promises = tuple(
            one if one.request.upstream else _given(one, self._best(self._said(one.request, one.pool, alike)))
            for one in request.promises
        )
        # of what they said the first tells: all of its cells would make a record too long
        return msgspec.structs.replace(request, prefer=self._best(answers), probed=told(answers), promises=promises)

    def _best(self, answers: Sequence[Answer]) -> str:
        if chosen := best(answers, self._chosen):
            self._chosen[chosen] += 1
        return chosen

    def _said(self, request: Request, pool: str, alike: Counter[tuple[str, bytes]]) -> list[Answer]:
        """What the nodes say to a request, asked once; nothing where none can be asked."""
        key = asked_of(request, pool)
        if key in self._answers:
            return self._answers[key]
        if not any(pool in agent.pools and agent.host for agent in self._team.agent.values()):
            return []
        from citgit.programs.probing import need_hosts, probe
        from citgit.wiring.asking import way_of

        answers: list[Answer] = []
        try:
            need_hosts(self._team, pool)
            answers = probe(
                self._team, pool, request, f"person:{self._clone.person}", way_of(self._clone), enough=alike[key],
            )  # fmt: skip
            why = ", ".join(_reason(one) for one in answers)
        except NotFound as error:
            why = error.message
        if not any(one.fits for one in answers):
            click.echo(plain(f"no node can start {request.job} at once, so it waits: {why}")[:1000], err=True)
        self._answers[key] = answers
        return answers

    def wake(self) -> None:
        """Makes the workers that were chosen look now."""
        for agent in self._chosen or ({self._on: None} if self._on else {}):
            known = self._team.agent.get(agent)
            if known is None or not known.host:
                continue
            from citgit.programs.probing import wake
            from citgit.wiring.asking import way_of

            if why := wake(self._team, agent, way_of(self._clone)):
                click.echo(
                    plain(f"note: {agent} could not be woken, it takes the build at its next poll: {why}"), err=True
                )


def asked_of(request: Request, pool: str) -> tuple[str, bytes]:
    """What a pool's agents are asked about a request, as a key: they are asked once about what has the same."""
    return pool, msgspec.json.encode(question(request), order="deterministic")


def _keys(request: Request, pool: str) -> list[tuple[str, bytes]]:
    """The questions about all that can start as soon as it is asked for."""
    later = [asked_of(one.request, one.pool) for one in request.promises if not one.request.upstream]
    return [asked_of(request, pool), *later]


def _given(promise: Promise, agent: str) -> Promise:
    return msgspec.structs.replace(promise, request=msgspec.structs.replace(promise.request, prefer=agent))


def _reason(one: Answer) -> str:
    return f"{one.agent}: {one.away or '; '.join(f'{each.check} ({each.found})' for each in one.lacks)}"
