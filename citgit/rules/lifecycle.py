"""The life of a build (PROTOCOL §4): every transition, in one table.

A record is judged in the state that its chain has reached. If the table has no row for (state, type), or none
of the row's standings is the signer's, or one of its guards does not hold, the record is *void*: it is shown,
changes nothing, stays in the chain. Whoever writes the next record builds on it all the same.

The diagram in docs/protocol.md is made from this table.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from citgit.model.record import RecordType as T


class State(Enum):
    """Where a build is."""

    NONE = "none"
    WAITING = "waiting"
    PAUSED = "paused"
    RUNNING = "running"
    STOPPING = "stopping"
    FINAL = "final"


class Who(Enum):
    """What a signer is to a build, under a policy."""

    REQUESTER = "allowed to ask for this"
    AGENT = "agent of the pool"
    HOLDER = "holder of the claim"
    OWNER = "owner"
    PRINCIPAL = "allowed to speak for the trigger"
    MAINTAINER = "maintainer"


class Guard(Enum):
    """A condition beyond state and standing; `rules.judge` evaluates it."""

    REQUEST_IS_SOUND = "the id, the promise or the trigger's digest fit the request"
    ATTEMPT_COUNTS = "attempt is the number of claims so far, void or not, plus one"
    UNDER_MAX = "valid claims < max_attempts"
    AT_MAX = "valid claims = max_attempts"
    NAMES_CLAIM = "names the current claim"
    NOT_HELD = "the cited policy has no hold"
    MAY_RESUME = "rank of the pauser or more, or an agent if the pause had a time"
    SUCCESSOR = "the successor exists: same pool, job and branch, greater id"
    EVIDENCE = "the named record is the final one of the named build"
    PROMISES_FIT = "ids of the promised builds derive from this build"
    ONE_PROMISE = "promises exactly one build, in another pool"
    IN_LIMITS = "an owner stays within the policy's limit"


class To(Enum):
    """Where a valid record leads, where that is not a fixed state."""

    SAME = "same state"


class Rule(NamedTuple):
    """One row: who may, on what conditions, and the state that follows."""

    who: frozenset[Who]
    to: State | To
    guards: tuple[Guard, ...] = ()


def _rule(who: set[Who], to: State | To, *guards: Guard) -> Rule:
    return Rule(frozenset(who), to, guards)


_CLAIM = _rule({Who.AGENT}, State.RUNNING, Guard.ATTEMPT_COUNTS, Guard.UNDER_MAX, Guard.NOT_HELD)
_CANCEL = {Who.OWNER, Who.MAINTAINER}
_SUPERSEDE = {Who.OWNER, Who.PRINCIPAL, Who.MAINTAINER}
_REAPER = {Who.AGENT, Who.MAINTAINER}

TABLE: dict[tuple[State, T], Rule] = {
    (State.NONE, T.REQUEST): _rule({Who.REQUESTER}, State.WAITING, Guard.REQUEST_IS_SOUND, Guard.PROMISES_FIT),
    (State.WAITING, T.CLAIM): _CLAIM,
    (State.RUNNING, T.CLAIM): _CLAIM,
    (State.RUNNING, T.PROGRESS): _rule({Who.HOLDER}, To.SAME, Guard.NAMES_CLAIM),
    (State.RUNNING, T.RESULT): _rule({Who.HOLDER}, State.FINAL, Guard.NAMES_CLAIM, Guard.PROMISES_FIT),
    (State.STOPPING, T.RESULT): _rule({Who.HOLDER}, State.FINAL, Guard.NAMES_CLAIM, Guard.PROMISES_FIT),
    (State.RUNNING, T.LOST): _rule(_REAPER, State.FINAL, Guard.NAMES_CLAIM, Guard.AT_MAX),
    (State.STOPPING, T.LOST): _rule(_REAPER, State.FINAL, Guard.NAMES_CLAIM),
    (State.WAITING, T.EXPIRED): _rule(_REAPER, State.FINAL),
    (State.PAUSED, T.EXPIRED): _rule(_REAPER, State.FINAL),
    (State.WAITING, T.PAUSE): _rule(_CANCEL, State.PAUSED),
    (State.PAUSED, T.RESUME): _rule({Who.OWNER, Who.MAINTAINER, Who.AGENT}, State.WAITING, Guard.MAY_RESUME),
    (State.WAITING, T.CANCEL): _rule(_CANCEL, State.FINAL),
    (State.PAUSED, T.CANCEL): _rule(_CANCEL, State.FINAL),
    (State.RUNNING, T.CANCEL): _rule(_CANCEL, State.STOPPING),
    (State.WAITING, T.SUPERSEDE): _rule(_SUPERSEDE, State.FINAL, Guard.SUCCESSOR),
    (State.PAUSED, T.SUPERSEDE): _rule(_SUPERSEDE, State.FINAL, Guard.SUCCESSOR),
    (State.RUNNING, T.SUPERSEDE): _rule(_SUPERSEDE, State.STOPPING, Guard.SUCCESSOR),
    (State.WAITING, T.REUSED): _rule({Who.AGENT}, State.FINAL, Guard.EVIDENCE),
    (State.PAUSED, T.REUSED): _rule({Who.AGENT}, State.FINAL, Guard.EVIDENCE),
    (State.WAITING, T.SKIPPED): _rule({Who.AGENT}, State.FINAL, Guard.EVIDENCE),
    (State.PAUSED, T.SKIPPED): _rule({Who.AGENT}, State.FINAL, Guard.EVIDENCE),
    (State.WAITING, T.MOVED): _rule({Who.MAINTAINER}, State.FINAL, Guard.ONE_PROMISE, Guard.PROMISES_FIT),
    (State.PAUSED, T.MOVED): _rule({Who.MAINTAINER}, State.FINAL, Guard.ONE_PROMISE, Guard.PROMISES_FIT),
    (State.WAITING, T.PRIORITY): _rule({Who.OWNER, Who.MAINTAINER}, To.SAME, Guard.IN_LIMITS),
    (State.PAUSED, T.PRIORITY): _rule({Who.OWNER, Who.MAINTAINER}, To.SAME, Guard.IN_LIMITS),
}


def diagram() -> str:
    """The table as Markdown: a row per record type, a column per state; an empty cell is void."""
    states = [State.WAITING, State.PAUSED, State.RUNNING, State.STOPPING]
    lines = [
        "| record | by | " + " | ".join(state.value for state in states) + " |",
        "| --- | --- |" + " --- |" * len(states),
    ]
    for kind in (kind for kind in T if any(key[1] is kind for key in TABLE) and kind is not T.REQUEST):
        rules = [TABLE.get((state, kind)) for state in states]
        who = sorted({one.value for rule in rules if rule for one in rule.who})
        cells = [_cell(rule) for rule in rules]
        lines.append(f"| `{kind.value}` | {', '.join(who)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(rule: Rule | None) -> str:
    if rule is None:
        return "void"
    to = f"**{rule.to.value}**" if rule.to is State.FINAL else rule.to.value
    return to + "".join(f"; {guard.value}" for guard in rule.guards)
