"""Asks the nodes of a pool whether they can build something, and what a person and a request are told of it."""

from __future__ import annotations

from citgit.errors import NotFound
from citgit.model.record import Request
from citgit.model.team import Team
from citgit.programs.node.probe import Ask, End, Said
from citgit.programs.node.start import Wanted, Woken
from citgit.programs.waiting import waiting
from citgit.programs.wording import many
from citgit.rules.ranking import Answer, question, ranked
from citgit.wiring.asking import SECONDS, Asking, Call, Way


def hosts(team: Team, pool: str) -> dict[str, str]:
    """Where the agents of a pool are, those that may take something and that the policy gives a host."""
    return {
        name: agent.host
        for name, agent in sorted(team.agent.items())
        if pool in agent.pools and agent.host and not agent.drain
    }


def need_hosts(team: Team, pool: str) -> None:
    """Raises NotFound if no agent of the pool can be asked anything."""
    known = {name: agent for name, agent in sorted(team.agent.items()) if pool in agent.pools}
    if not known:
        raise NotFound(f"no agent is registered for pool {pool!r}", hint="cit agent install [USER@]HOST")
    if all(agent.drain for agent in known.values()):
        raise NotFound(
            f"all agents of pool {pool!r} are drained by the policy: {', '.join(known)}",
            hint="let one build again: cit agent drain AGENT --off --policy",
        )
    if not hosts(team, pool):
        raise NotFound(
            f"no agent of pool {pool!r} can be asked: none has a 'host' in team.toml",
            hint="cit agent install [USER@]HOST",
        )


def probe(
    team: Team, pool: str, request: Request, owner: str, way: Way, *, enough: int = 0, seconds: float = 0
) -> list[Answer]:  # fmt: skip
    """What every node says to a request, the best first.

    With `enough`, once so many slots are free for it, nodes that are slower are not waited for.
    """
    asked = hosts(team, pool)
    ask = Ask(agents=tuple(asked), pool=pool, request=question(request), owner=owner)
    slots = 0

    def about(call: Call, agent: str) -> Said:
        call.say(ask)
        answer = None
        while not isinstance(said := call.hear(Said | End), End):  # type: ignore[arg-type]
            answer = said if isinstance(said, Said) and said.agent == agent else answer
        if answer is None:
            raise ValueError(f"no worker of {agent} is there")
        return answer

    def suffices(said: Said) -> bool:
        nonlocal slots
        slots += said.free if all(one.ok for one in said.decisions) else 0
        return 0 < enough <= slots

    with waiting(f"asking {many(len(asked), 'node')}") as count:
        asking = Asking("probe", way, about)
        found = asking.all(asked, seconds=seconds or SECONDS, enough=suffices, tell=count)
    answers = []
    for agent, (said, took) in found.items():
        if isinstance(said, str):
            answers.append(Answer(agent=agent, host=asked[agent], away=said[:300], seconds=took))
            continue
        answers.append(Answer(
            agent=agent, host=asked[agent], decisions=said.decisions, free=said.free, slots=said.slots, load=said.load,
            warm=said.warm, seconds=took,
        ))  # fmt: skip
    return ranked(answers)


def wake(team: Team, agent: str, way: Way) -> str:
    """Makes an agent's worker look now; why that did not work, "" if it did."""
    host = team.agent[agent].host if agent in team.agent else ""
    if not host:
        return f"the policy does not say where {agent} is"

    def about(call: Call, name: str) -> Woken:
        call.say(Wanted(agent=name))
        return call.hear(Woken)

    said, _ = Asking("start", way, about).all({agent: host})[agent]
    if isinstance(said, str):
        return said
    return "" if said.running else said.why or "no worker runs there"
