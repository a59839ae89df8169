"""What may go wrong in a trace, and how often: named mixes of faults, each aimed at other promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from citgit.testing.memory import Fault


def _faults(**chances: float) -> dict[Fault, float]:
    return {Fault[name.upper()]: chance for name, chance in chances.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A mix. Chances are per operation (`faults`), per step of the scheduler, or per trace (the last group)."""

    name: str
    aim: str
    faults: Mapping[Fault, float] = field(
        default_factory=lambda: _faults(
            lost_answer=0.05, not_applied=0.04, delayed=0.05, cut=0.03, away=0.03, doubled=0.02
        )
    )
    chaos: int = 250
    """Steps with faults; after them everything has to come to rest."""
    land: float = 0.1
    """Chance that one delayed push lands."""
    late: float = 0.3
    """Share of delayed pushes that land only when all is quiet: long after archive and delete."""
    crash: float = 0.02
    disk: float = 0.2
    """Share of a worker's crashes that take the node's disk with them."""
    freeze: float = 0.02
    """Chance that an actor stops where it is, in the middle of whatever it does, for longer than a lease."""
    step: float = 0.05
    """Chance that somebody's clock steps, by up to ten years."""
    sleep: float = 0.1
    """Share of claims whose claimer stops just before it pushes them."""
    ambush: float = 0.1
    """Chance that late copies of pushes to the same ref land just before a push."""
    freeze_for: tuple[int, int] = (10, 120)
    times: tuple[int, ...] = (0, 1, 5, 20)
    ttls: tuple[int, ...] = (60, 600, 3000)
    requests: int = 2
    """Pipelines that each of two people asks for."""
    length: int = 4
    """An attempt takes fewer polls than this."""
    workers: int = 3
    small_programs: int = 2
    """Nodes with one agent's key, each a shell loop over the small programs."""
    archivers: int = 2
    doors: int = 2
    interferer: bool = True
    cancels: int = 0
    """Builds that the maintainer cancels as soon as they are seen, before doing anything else."""

    host_away: float = 0.3
    revoke: float = 0.15
    restore: float = 0.2


PROFILES = {
    one.name: one
    for one in (
        Profile(name="mixed", aim="everything, as in a bad week"),
        Profile(
            name="late", aim="pushes that land twice, and claimers who sleep: what was archived must not run again",
            faults=_faults(doubled=0.7), land=0.01, freeze=0.0, sleep=0.4, ambush=0.5, freeze_for=(60, 200),
            crash=0.0, chaos=300, requests=2, small_programs=0, archivers=1, doors=0, interferer=False,
            host_away=0.0, revoke=0.0, restore=0.0, ttls=(6000,),
        ),
        Profile(
            name="twins", aim="two nodes with one key in one second, long builds, short leases: one claim, one holder",
            faults=_faults(lost_answer=0.05), crash=0.01, freeze=0.02, times=(*[0] * 30, 60), ttls=(60,), length=30,
            workers=0, archivers=1, doors=0, interferer=False, host_away=0.0, revoke=0.0, restore=0.0,
        ),
        Profile(
            name="pipelines", aim="builds that end before anybody created what they promise", cancels=6, workers=1,
            small_programs=1, doors=1, requests=3, freeze=0.06, crash=0.01, host_away=0.0, revoke=0.0, restore=0.0,
        ),
        Profile(
            name="revoke", aim="a policy that drops an agent in the middle of its work", revoke=1.0, restore=0.0,
            host_away=0.1,
        ),
        Profile(
            name="restore", aim="a host that comes back from an old backup", restore=1.0, revoke=0.0, late=0.1,
            requests=3,
        ),
    )
}  # fmt: skip
"""By name; the aim of each is in its own words."""
