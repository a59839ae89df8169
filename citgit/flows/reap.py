"""Watches other agents' leases without a clock of its own to trust; takes over, or ends what is lost for good."""

from __future__ import annotations

from dataclasses import dataclass, field

from citgit.errors import NotFound
from citgit.flows.builds import Repository, is_running
from citgit.flows.chains import read_link
from citgit.flows.state import Actor, State
from citgit.flows.writing import draft, push
from citgit.interfaces import Answer
from citgit.model.build import Build, Link
from citgit.model.names import Kind
from citgit.model.record import Advert, Beat, Expired, Lost, Observed
from citgit.rules.authority import fallen, speaks_for
from citgit.rules.leases import Watch, observe, ran_out


@dataclass(slots=True)
class Watches:
    """What this observer saw of each active build; a failed poll starts all counts anew."""

    by_build: dict[str, Watch] = field(default_factory=dict)
    first_seen: dict[str, float] = field(default_factory=dict)
    last: float | None = None

    def failed(self) -> None:
        """A poll got no answer: what happened meanwhile is unknown."""
        self.by_build.clear()
        self.last = None


def watch(state: State, repository: Repository, watches: Watches, pools: list[str]) -> list[tuple[Build, Observed]]:
    """Counts one successful poll; the running builds of the pools whose leases ran out."""
    now = state.clock.monotonic()
    interval = now - watches.last if watches.last is not None else 0.0
    watches.last = now
    ttl = repository.snapshot.policies.tip.team.limits.ttl
    expired, current, seen_first = [], {}, {}
    for pool in pools:
        for build in repository.active(pool):
            seen_first[build.id] = watches.first_seen.get(build.id, now)
            if not is_running(build) or build.held is None:
                continue
            beat = beat_of(state, repository, build)
            seen = observe(watches.by_build.get(build.id), build.tip, beat, interval)
            current[build.id] = seen
            # nothing that a revoked agent writes counts any more, so nobody waits for it
            gone = bool(fallen(repository.snapshot.policies.tip, build.held.actor))
            if gone or ran_out(seen, ttl, state.entropy.uniform(0, 1)):
                ms = int(seen.unchanged * 1000)
                expired.append((build, Observed(claim=build.held.claim, beat=beat, unchanged_ms=ms, polls=seen.polls)))
    # what has ended is forgotten, or a worker would grow for as long as it lives
    watches.by_build, watches.first_seen = current, seen_first
    return expired


def beat_of(state: State, repository: Repository, build: Build) -> str:
    """The latest beat of the holder that renews this claim; "" if there is none."""
    if build.held is None:
        return ""
    agent = build.held.actor.removeprefix("agent:")
    for ref, tip in repository.snapshot.of(state.refs, Kind.AGENT, agent).items():
        oid: str | None = tip
        for _ in range(8):
            if oid is None:
                break
            try:
                link = read_link(state, oid)
            except NotFound:
                break
            if link.record is None or not _is_the_agent_s(repository, link, ref, build.held.actor):
                break
            body = link.record.body
            if isinstance(body, Beat | Advert) and build.held.claim in body.renews:
                return link.oid
            oid = link.parents[0] if link.parents else None
    return ""


def _is_the_agent_s(repository: Repository, link: Link, ref: str, actor: str) -> bool:
    """Whether the record renews anything: a beat forged, or taken from another place, keeps no lease alive."""
    policies, head = repository.snapshot.policies, link.record.head if link.record else None
    if head is None or (head.repo, head.ref, head.actor) != (policies.repo, ref, actor):
        return False
    return link.parents == ((head.prev,) if head.prev else ()) and speaks_for(policies.tip, actor, link.key)


def end_lost(state: State, actor: Actor, repository: Repository, build: Build, observed: Observed) -> bool:
    """Records that the last allowed attempt is lost."""
    holder = build.held.actor if build.held else "nobody"
    reason = fallen(repository.snapshot.policies.tip, holder) or f"{holder} fell silent"
    body = Lost(claim=observed.claim, observed=observed, reason=reason)
    return push(state, actor, [draft(state, actor, repository.snapshot, build, body)])[0].answer is Answer.DONE


def end_expired(state: State, actor: Actor, repository: Repository, watches: Watches, pools: list[str]) -> list[str]:
    """Ends builds that this observer saw waiting for longer than their job allows; their ids."""
    now, ended = state.clock.monotonic(), []
    for pool in pools:
        for build in repository.active(pool):
            if build.state not in ("waiting", "paused") or build.request is None or build.broken:
                continue
            limit = build.request.definition.limits.queue
            if now - watches.first_seen.get(build.id, now) > limit:
                body = Expired(reason=f"waited longer than {limit} s")
                drafts = [draft(state, actor, repository.snapshot, build, body)]
                if push(state, actor, drafts)[0].answer is Answer.DONE:
                    ended.append(build.id)
    return ended
