"""A build as its chain tells it: the records with their verdicts, and what follows from the valid ones."""

from __future__ import annotations

from msgspec import Struct

from citgit.model.record import Outcome, Record, Request, Result


class Link(Struct, frozen=True, kw_only=True):
    """One commit of a ref's chain as it was read: `record` is None where `fault` says why it is none.

    `key` is the public key that signed it; `unsupported` says which version would be needed to read it, `kind` what
    type of record it says it is.
    """

    oid: str
    sha256: str
    parents: tuple[str, ...]
    tree: str
    key: str = ""
    record: Record | None = None
    fault: str = ""
    unsupported: str = ""
    kind: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """A link and its verdict: `void` is empty for a valid record, else the reason, and `rule` names what it breaks.

    Rules: shape, signature, place, parent, policy, role, life cycle (see `docs/protocol.md`).
    """

    link: Link
    void: str = ""
    rule: str = ""


class Held(Struct, frozen=True, kw_only=True):
    """The current claim: its oid, who made it, which attempt it is, and the key that may sign for it."""

    claim: str
    actor: str
    attempt: int
    attempt_key: str = ""


class Build(Struct, frozen=True, kw_only=True):
    """What a chain amounts to.

    `state` is a `rules.lifecycle.State` value; `outcome` is set when it is final, `stopping` while it is
    stopping. `claims` counts all claims, `valid_claims` those that count. `owner` and `principal` say who
    asked. `revoked`: it was archived as final before a later policy made its end void; it stays final, and nobody
    vouches for what came of it. `broken` names what is wrong with the ref's shape, `unsupported` the version that
    is needed: nothing may be written to such a build.
    """

    id: str
    pool: str
    ref: str
    tip: str
    state: str
    entries: tuple[Entry, ...] = ()
    request: Request | None = None
    owner: str = ""
    principal: str = ""
    requested: int = 0
    priority: int = 0
    held: Held | None = None
    claims: int = 0
    valid_claims: int = 0
    pause_rank: int = 0
    pause_at: int | None = None
    paused_by: str = ""
    stopping: Outcome | None = None
    outcome: Outcome | None = None
    final: str = ""
    result: Result | None = None
    ended: int = 0
    revoked: bool = False
    broken: str = ""
    unsupported: str = ""

    @property
    def is_final(self) -> bool:
        """Whether the build has its one final record."""
        return self.state == "final"

    @property
    def policies(self) -> tuple[str, ...]:
        """The policies that its records cite, in order."""
        return tuple(entry.link.record.head.policy for entry in self.entries if entry.link.record)
