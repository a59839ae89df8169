"""From a worker's home on this node to its judgement on a build that was not asked for yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from citgit.errors import CitError
from citgit.executors.choice import choose
from citgit.git.sources import Mirrors
from citgit.machine import cpus
from citgit.model.record import Advert, Decision, Request
from citgit.model.request import TIP
from citgit.model.settings import Settings
from citgit.nodes.settings import read_settings
from citgit.rules.authority import alias_of, is_account_of, may_claim, runs_as_owner
from citgit.rules.placement import decide, tool_name
from citgit.wiring.clone import data_dir, mirror_folder
from citgit.wiring.homes import Home
from citgit.wiring.hosts import mirrors
from citgit.wiring.node import files_of
from citgit.wiring.target import target_of
from citgit.wiring.worker import executors, node_secrets
from citgit.workspaces.kept import drained, unfinished
from citgit.workspaces.node import advert
from citgit.workspaces.trial import Trials

_LIST_S = 4.0
"""Seconds for a look at a source: whoever asks waits for five."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Every reason, for and against; free slots, the machine's load per processor, whether the revisions are here."""

    decisions: list[Decision]
    advert: Advert
    free: int
    slots: int
    load: float
    warm: bool


def judge(home: Home, pool: str, request: Request, owner: str) -> Judged:
    """Whether the home's worker would take it from `owner`, by what it would look at. Raises CitError, OSError."""
    team = home.repository.snapshot.policies.tip.team
    agent = team.agent.get(home.name)
    settings = _settings(home.name)
    actor = f"agent:{home.name}"
    # what its owner has built in their own account is their own
    own = settings.own or (runs_as_owner(request) and is_account_of(team, actor, owner))
    slots = settings.slots or (agent.slots if agent else 1)
    free = max(0, slots - len(unfinished(home.path)))
    target = target_of(settings, home.path)
    walls = executors([data_dir(), home.path], target)
    tools = sorted({tool_name(tool) for tool in request.definition.requires.tools})
    machine = target.machine(tools) if target else None
    offer = advert(home.path, walls, "", slots, agent.labels if agent else (), tools, machine)
    found = decide(request.definition, offer, agent=home.name, on=request.on, free=free)
    owned = agent is not None and may_claim(
        team, actor, pool, owner, alias_of(request), as_owner=runs_as_owner(request)
    )
    found.append(
        Decision(check=f"pool {pool}", ok=owned, found=", ".join(agent.pools) if agent else "not in the policy")
    )
    if short := drained(home.path) or ("drained by the policy" if agent and agent.drain else ""):
        found.append(Decision(check="takes builds", ok=False, found=short))
    found += _walls(partial(choose, walls, request.definition.place.executor, own=own))
    sources = mirrors(mirror_folder(home.path), home.path / "state.git")
    warm = [_source(sources, home.about.source, request, at) for at in range(len(request.sources))]
    found += [one for one, _ in warm]
    found += node_secrets(home.about.source, sources, lambda: team.protected, away=target is not None).judge(request)
    if request.definition.requires.can_build and all(one.ok for one in found):
        trials = Trials(
            home.path, home.about.source, sources, walls, lambda known, name, own: choose(known, name, own=own),
            walled=bool(settings.builders or target),
        )  # fmt: skip
        found += trials.ask(request, own=own)
    load = os.getloadavg()[0] / max(1, cpus())
    return Judged(found, offer, free, slots, round(load, 2), all(here for _, here in warm))


def _settings(agent: str) -> Settings:
    """What the worker was told; the defaults for one that was started by hand."""
    try:
        return read_settings(files_of(agent).settings)
    except CitError:
        return Settings(agent=agent, url="", own=True)  # how it was started cannot be told from here


def _walls(chosen: partial[str]) -> Iterator[Decision]:
    try:
        chosen()
    except CitError as error:
        yield Decision(check="a wall around it", ok=False, found=error.message[:300])


def _source(sources: Mirrors, own: str, request: Request, at: int) -> tuple[Decision, bool]:
    """Whether this account can get a source, and whether the revision is here."""
    source = request.sources[at]
    url = source.url or own
    check = f"source {source.repo}"
    if sources.has(url, source.commit):
        return Decision(check=check, ok=True, found="is here"), True
    try:
        heads = sources.listed(url, _LIST_S)
        if source.commit == TIP and source.ref.removeprefix("refs/heads/") not in heads:
            return Decision(
                check=check, ok=False, found=f"has no branch {source.ref.removeprefix('refs/heads/')}"
            ), False
    except CitError as error:
        return Decision(check=check, ok=False, found=error.message[:300]), False
    known = source.ref.removeprefix("refs/heads/") in heads
    # a revision that is not pushed yet is waited for, on whatever node
    return Decision(check=check, ok=True, found="can be fetched" if known else "can be read"), False
