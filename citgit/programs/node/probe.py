"""`cit-serve probe`: whether this node's workers can build something that nobody has asked for yet."""

from __future__ import annotations

from citgit.errors import CitError
from citgit.model.names import HERE
from citgit.model.policy import PolicyView
from citgit.model.record import Advert, CauseKind, Decision, Request
from citgit.programs.node.asked import Asked
from citgit.rules.authority import may_request
from citgit.wiring.homes import Home
from citgit.wiring.serve_node import NodeMessage, Talk


class Ask(NodeMessage, frozen=True, kw_only=True):
    """What is to be built, in which pool; `agents` are those whose word counts."""

    agents: tuple[str, ...]
    pool: str
    request: Request
    owner: str = ""


class Said(NodeMessage, frozen=True, kw_only=True):
    """One agent's word: every reason, for and against; `load` of the machine, `warm`: it has the revisions already."""

    agent: str
    decisions: tuple[Decision, ...]
    free: int
    slots: int
    load: float = 0.0
    warm: bool = False
    advert: Advert | None = None


class End(NodeMessage, frozen=True, kw_only=True):
    """That was all."""


def serve(asked: Asked, talk: Talk) -> None:
    """One message for each agent asked whose worker is here, then the end."""
    ask = talk.hear(Ask)
    for home in asked.places():
        if home.name in ask.agents:
            talk.say(_said(asked, home, ask))
    talk.say(End())


def _said(asked: Asked, home: Home, ask: Ask) -> Said:
    from citgit.wiring.judging import judge  # a whole worker's, which those who only ask do without

    def denied(policy: PolicyView, reader: str) -> str:
        # what rests on a promise, or is built where it was asked for, is checked elsewhere and asks no node
        asks_a_pool = ask.pool != HERE and ask.request.cause.kind is CauseKind.PERSON
        allowed = asks_a_pool and may_request(policy.team, reader, ask.pool, ask.request)
        return "" if allowed else f"{reader} may not ask for {ask.request.job!r} in pool {ask.pool!r}"

    try:
        if refusal := _refusal(asked, home, denied):
            return _no(home, "policy", refusal)
        found = judge(home, ask.pool, ask.request, asked.reader or ask.owner)
    except (CitError, OSError) as error:
        return _no(home, "worker", str(error))
    return Said(
        agent=home.name, decisions=tuple(found.decisions), free=found.free, slots=found.slots, load=found.load,
        warm=found.warm, advert=found.advert,
    )  # fmt: skip


def _refusal(asked: Asked, home: Home, denied: object) -> str:
    return asked.refusal(home.repository.snapshot.policies.tip, denied) if asked.reader else ""  # type: ignore[arg-type]


def _no(home: Home, check: str, found: str) -> Said:
    return Said(agent=home.name, decisions=(Decision(check=check, ok=False, found=found[:300]),), free=0, slots=0)
