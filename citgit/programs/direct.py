"""Starts a build at once: the nodes are asked, the best free one is named in the request and its worker woken."""

from __future__ import annotations

import click
import msgspec

from citgit.model.record import Request
from citgit.model.team import Team
from citgit.programs.wording import plain
from citgit.wiring.clone import Clone


class Starting:
    """Where the builds of one `cit run` are to start; `on` is the agent that the person named, "" for any."""

    def __init__(self, clone: Clone, team: Team, on: str = "") -> None:
        self._clone = clone
        self._team = team
        self._on = on
        self._chosen: dict[str, None] = {}

    def placed(self, request: Request, pool: str) -> Request:
        """The request with the best free agent and what the nodes said; as it was if none can be asked."""
        if not any(pool in agent.pools and agent.host for agent in self._team.agent.values()):
            return request
        if request.upstream or self._on:
            return request
        from citgit.programs.probing import probe, progress
        from citgit.rules.ranking import told
        from citgit.wiring.asking import way_of

        answers = probe(
            self._team, pool, request, f"person:{self._clone.person}", way_of(self._clone), hurry=True, tell=progress
        )
        best = answers[0].agent if answers and answers[0].fits else ""
        if not best:
            reasons = [
                f"{one.agent}: {one.away or '; '.join(f'{each.check} ({each.found})' for each in one.lacks)}"
                for one in answers
            ]
            click.echo(
                plain(f"no node can start {request.job} at once, so it waits: " + ", ".join(reasons))[:1000], err=True
            )
        self._chosen |= {best: None} if best else {}
        return msgspec.structs.replace(request, prefer=best, probed=told(answers))

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
