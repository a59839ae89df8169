"""Who may do what: every key of team.toml, as typed values; a published team is a policy (PROTOCOL §6)."""

from __future__ import annotations

from enum import Enum

import msgspec

from citgit.model.units import Seconds


class _Team(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A table of team.toml: immutable, defaults left out when written."""


class Role(Enum):
    """What a person may do, before pools and aliases narrow it."""

    REQUEST = "request"
    MAINTAIN = "maintain"
    READ = "read"
    ALIAS = "alias"
    ADMIN = "admin"


class Person(_Team, frozen=True, kw_only=True):
    """A human: the keys they sign with, their roles, the groups they are in.

    `age` is a key that only decrypts, for whoever's signing keys cannot (ECDSA, in an agent, with a passphrase).
    """

    keys: tuple[str, ...]
    roles: tuple[Role, ...] = ()
    groups: tuple[str, ...] = ()
    mail: str = ""
    age: str = ""


class Agent(_Team, frozen=True, kw_only=True):
    """A registered identity that may claim in its `pools` (none: a machine that only signs, such as a hook).

    `person`: whose account it builds in; it takes what that person wants built as themselves, besides the rest.
    """

    key: str
    pools: tuple[str, ...] = ("default",)
    labels: tuple[str, ...] = ()
    host: str = ""
    slots: int = 1
    drain: bool = False
    age: str = ""
    person: str = ""


class Pool(_Team, frozen=True, kw_only=True):
    """A named set of agents with one queue. Members of lists are names, "@group", "@agents" or "@people"."""

    claim: tuple[str, ...] = ("@agents",)
    request: tuple[str, ...] = ()
    maintain: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ("*",)
    branches: tuple[str, ...] = ("*",)


class TriggerPrincipal(_Team, frozen=True, kw_only=True):
    """A principal of trigger requests: whose keys may speak for it, who of them may vouch for the pusher."""

    keys: tuple[str, ...]
    vouches: tuple[str, ...] = ()


class Alias(_Team, frozen=True, kw_only=True):
    """A protected job's stand-in: config branches, the nodes that serve it, who may ask, what they may get."""

    config: tuple[str, ...]
    nodes: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()


class OnRevoked(Enum):
    """What becomes of running builds whose asker was revoked."""

    STOP = "stop"
    FINISH = "finish"


class TeamLimits(_Team, frozen=True, kw_only=True):
    """What holds for everybody: lease time, beat, attempts, retention, admins per policy, owners' priority.

    `revoked` says what becomes of the running builds of somebody who was revoked; `poll` is the quickest pace of polls.
    """

    ttl: Seconds = 60
    beat: Seconds = 20
    attempts: int = 3
    keep: Seconds = 90 * 86400
    admins: int = 1
    priority: int = 10
    revoked: OnRevoked = OnRevoked.STOP
    poll: Seconds = 1


class Team(_Team, frozen=True, kw_only=True):
    """team.toml as a whole; `protected` is the branch whose team.toml counts."""

    protected: str = "main"
    person: dict[str, Person] = {}
    agent: dict[str, Agent] = {}
    pool: dict[str, Pool] = {}
    trigger: dict[str, TriggerPrincipal] = {}
    alias: dict[str, Alias] = {}
    limits: TeamLimits = TeamLimits()
