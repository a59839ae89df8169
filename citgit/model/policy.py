"""A policy as it is read from its record: the team, its place in the chain, and the seal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from citgit.model.team import Team


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """The tips of all builds and agents, read first, and of all archives, read after; by ref."""

    builds: dict[str, str] = {}
    agents: dict[str, str] = {}
    archives: dict[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """One policy of the chain: `oid` of the record, `revoked` keys and why (from here on they count no more).

    `actor` signed it with `key`; `cosigners` are the names of the other admins who did.
    """

    oid: str
    version: int
    team: Team
    seal: Seal
    generation: int = 0
    hold: bool = False
    revoked: Mapping[str, str] = field(default_factory=dict)
    actor: str = ""
    key: str = ""
    cosigners: tuple[str, ...] = ()
    time: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PolicyChain:
    """All policies from the root on, each verified."""

    policies: tuple[PolicyView, ...]
    _at: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_at", {policy.oid: at for at, policy in enumerate(self.policies)})

    @property
    def repo(self) -> str:
        """The repository's id: the oid of the root policy."""
        return self.policies[0].oid

    @property
    def tip(self) -> PolicyView:
        """The policy in force."""
        return self.policies[-1]

    def index(self, oid: str) -> int | None:
        """The position of a policy in the chain; None if it is not in it."""
        return self._at.get(oid)
