"""One state repository as one client sees it: the parts that every flow works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from citgit.errors import Refused, Unsupported
from citgit.flows.answers import Judged
from citgit.interfaces import AttemptKeys, Clock, Entropy, Journal, Objects, Oid, Remote, Signer, Tips, Vault, Verifier
from citgit.model.build import Link
from citgit.model.names import Kind, Refs
from citgit.model.policy import PolicyChain


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who writes records: the name ("person:anna", "agent:lab1") and the key; `keys` makes one for each attempt."""

    name: str
    signer: Signer
    journal: Journal
    keys: AttemptKeys | None = None


class Fold(NamedTuple):
    """An archive commit: its first parent ("" for none), its days, whether it is an archive by its form."""

    before: Oid
    days: dict[str, Oid]
    fits: bool


class Takings(NamedTuple):
    """An archive as it was looked at last, and the commits whose entries later ones dropped, newest first."""

    tip: Oid
    lost: tuple[Oid, ...] = ()


class NoVault:
    """For clients that neither hide anything nor are told what is hidden."""

    def seal(self, plain: bytes, keys: Sequence[str]) -> str:
        """Raises Unsupported."""
        raise Unsupported("this client cannot write private builds")

    def ready(self) -> None:
        """Raises Unsupported."""
        raise Unsupported("this client cannot write private builds")

    def open(self, sealed: str) -> bytes | None:
        """None: nothing is for us."""
        return None


@dataclass(slots=True, kw_only=True)
class State:
    """A client of a state repository. `pinned` is the root policy's oid, "" before it was first seen.

    `links` caches what was verified, by oid: a commit's bytes never change. `judged` keeps whole builds by
    (ref, tip, policy), with whatever else had a say. `months`, `days` and `absent` keep what was last read of the
    archives: an archive commit, the bytes of a day, which builds an archive commit does not hold; `takings` has by ref
    what was dropped from archives (see `flows.takings`).
    `learned` is told of each chain of policies that was read and verified.
    """

    refs: Refs
    objects: Objects
    remote: Remote
    tips: Tips
    verifier: Verifier
    clock: Clock
    entropy: Entropy
    vault: Vault = field(default_factory=NoVault)
    pinned: str = ""
    links: dict[Oid, Link] = field(default_factory=dict)
    chains: dict[Oid, PolicyChain] = field(default_factory=dict)
    learned: Callable[[PolicyChain], None] = lambda chain: None
    judged: dict[tuple[str, Oid, Oid], Judged] = field(default_factory=dict)
    months: dict[Oid, Fold] = field(default_factory=dict)
    days: dict[Oid, bytes] = field(default_factory=dict)
    absent: set[tuple[Oid, str]] = field(default_factory=set)
    takings: dict[str, Takings] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The refs as fetched, the policy they are judged by, and what is wrong with the host.

    `alarms` name rewound, vanished and foreign refs; a listed ref is as it was remembered, not as it is.
    `away`: the host did not answer, all of this is from memory.
    `behind` are the refs of which the host has less than is remembered, with what it has (None: nothing).
    `restored`: the policy in force is of a later generation than the one remembered (see `flows.restore`).
    `asked` are the archives that the host was asked for just now; others are as remembered, if at all. None: all.
    """

    tips: Mapping[str, Oid]
    policies: PolicyChain
    alarms: tuple[str, ...] = ()
    away: bool = False
    asked: frozenset[str] | None = None
    behind: Mapping[str, Oid | None] = field(default_factory=dict)
    restored: bool = False
    _sorted: dict[tuple[Kind, str], dict[str, Oid]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def of(self, refs: Refs, kind: Kind, group: str = "") -> Mapping[str, Oid]:
        """The refs of one kind, and of one pool, agent or person if `group` is given."""
        if not self._sorted:
            # a turn asks a dozen times: one look at each ref will do for all
            for ref, tip in self.tips.items():
                if place := refs.parse(ref):
                    for part in {"", place.group}:
                        self._sorted.setdefault((place.kind, part), {})[ref] = tip
        return self._sorted.get((kind, group), {})


def need_claims_allowed(snapshot: Snapshot) -> None:
    """Raises Refused if the policy in force holds all claims."""
    if snapshot.policies.tip.hold:
        raise Refused(
            f"policy {snapshot.policies.tip.version} holds all claims",
            hint="an admin lifts the hold: 'cit restore --release' after a restore, else 'cit policy publish'",
        )
