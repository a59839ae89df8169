"""An agent's advert and beats: one ref per boot, one push renews all leases; nothing is written when idle."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from citgit.flows.builds import Repository
from citgit.flows.state import Actor, State
from citgit.flows.writing import follow, parent_at, push
from citgit.interfaces import Answer, Entropy, Oid, Update
from citgit.model.names import Kind
from citgit.model.record import Advert, Beat

LONGEST_BOOT = 1000
"""Records on one ref of an agent: whoever sees it for the first time fetches and reads all of them."""


@dataclass(slots=True)
class Heart:
    """When the last acknowledged renewal began (boottime seconds), and what was last offered."""

    began: float = float("-inf")
    offered: Advert | None = None
    short: str = ""
    beats: int = 0


def beat(
    state: State, actor: Actor, repository: Repository, heart: Heart, advert: Advert, held: tuple[Oid, ...], free: int,
    short: str = "",
) -> None:  # fmt: skip
    """Writes the advert once per boot and when it changed; a beat when leases are due, or `short` changes.

    A claim is its own first sign of life, so a new one waits for the next beat. `short` says why the agent takes
    nothing new.
    """
    agent = actor.name.partition(":")[2]
    ref = state.refs.agent(agent, advert.boot)
    refs = repository.snapshot.of(state.refs, Kind.AGENT, agent)
    tip = refs.get(ref)
    limits = repository.snapshot.policies.tip.team.limits
    now = state.clock.boottime()
    due = held and now - heart.began >= limits.beat
    changed = heart.offered not in (None, advert) and not short
    if tip is not None and not due and not changed and short == heart.short:
        heart.offered = heart.offered or advert
        return
    body: Advert | Beat
    old = next((other for name, other in sorted(refs.items()) if name != ref), "")
    if tip is None:
        body = _advert(advert, previous=old, renews=held)
        made = follow(state, actor, repository.snapshot, body, ref=ref, build="", parent=None)
    else:
        body = Beat(renews=held, free=0 if short else free, short=short)
        body = _advert(advert, previous="", renews=held) if changed else body
        parent = parent_at(state, tip)
        made = follow(state, actor, repository.snapshot, body, ref=ref, build="", parent=parent)
    if push(state, actor, [made])[0].answer is Answer.DONE:
        heart.began, heart.offered, heart.short = now, advert, short if isinstance(body, Beat) else ""
        heart.beats += 1
        if tip is None:
            gone = [Update(name, other, None) for name, other in refs.items() if name != ref]
            if gone:
                state.remote.push(gone)


def renewed(advert: Advert, heart: Heart, entropy: Entropy) -> Advert:
    """The advert; of a new boot once there were many records: its ref names the one before, which then goes."""
    if heart.beats < LONGEST_BOOT:
        return advert
    heart.began, heart.offered, heart.short, heart.beats = float("-inf"), None, "", 0
    return msgspec.structs.replace(advert, boot=entropy.nonce()[:16])


def _advert(advert: Advert, *, previous: str, renews: tuple[Oid, ...]) -> Advert:
    return msgspec.structs.replace(advert, previous=previous, renews=renews)
