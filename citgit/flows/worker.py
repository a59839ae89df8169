"""One agent's worker: what it does in one turn, in an order that any crash may interrupt (PROTOCOL §4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from citgit.errors import CitError, Dismissed, NotYet, RemoteAway
from citgit.flows import reap
from citgit.flows.archive import archive
from citgit.flows.builds import Repository, is_running
from citgit.flows.chains import read_link
from citgit.flows.claims import Claimed, candidates, claim, fetchable, on_their_branches, skip, upstream
from citgit.flows.enqueue import Doors, create_promised
from citgit.flows.heartbeat import Heart, beat
from citgit.flows.placing import needed, reasons
from citgit.flows.poll import poll
from citgit.flows.private import conceal_result, need_open, need_vault, reveal
from citgit.flows.restore import Caution
from citgit.flows.state import Actor, State
from citgit.flows.writing import draft, push, resend
from citgit.interfaces import Answer, Entrusted, Oid, Workshop
from citgit.model.build import Build
from citgit.model.names import HERE
from citgit.model.record import Advert, Claim, Decision, Observed, Outcome, Progress, RecordType, Request, Result
from citgit.model.team import TeamLimits
from citgit.rules.authority import fallen, fallen_asker, stop_reason
from citgit.rules.judge import promises_of
from citgit.rules.lifecycle import State as Life
from citgit.rules.ordering import in_order
from citgit.rules.placement import tool_name

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, for people and `--json`: what, to which build, in words."""

    kind: str
    build: str
    text: str


@dataclass(slots=True, kw_only=True)
class Worker:
    """An agent at work. `url` is the repository that records call "self"; `own` trusts the builds as its user's own.

    `only` limits it to some builds: a person who builds here builds what they asked for, nothing else.
    `hands_off` claims without starting: the small programs do one step each.
    """

    state: State
    actor: Actor
    doors: Doors
    workshop: Workshop
    url: str
    pools: list[str]
    boot: str
    node: str
    slots: int = 1
    labels: tuple[str, ...] = ()
    own: bool = False
    tell: Callable[[Event], None] = lambda event: None
    heart: Heart = field(default_factory=Heart)
    watches: reap.Watches = field(default_factory=reap.Watches)
    advert: Advert | None = None
    looked: frozenset[str] = frozenset()
    stopped: set[Oid] = field(default_factory=set)
    begun: set[Oid] = field(default_factory=set)
    doubtful: frozenset[str] = frozenset()
    short: str = ""
    unstarted: bool = False
    caution: Caution = field(default_factory=Caution)
    only: frozenset[str] = frozenset()
    hands_off: bool = False
    limits: TeamLimits = field(default_factory=TeamLimits)

    def turn(self) -> None:
        """One turn. Raises nothing that the next turn could mend.

        Raises:
            Refused: the policy cannot be trusted. Dismissed: it does not let this worker build any more.
        """
        self._look_at_disk()
        try:
            self.do_resend()
            repository = Repository(self.state, poll(self.state))
        except RemoteAway as error:
            self.watches.failed()
            self._say("away", "", error.message)
            return
        except OSError as error:
            self.watches.failed()
            self._say("error", "", f"poll: {error}")
            return
        self.limits = repository.snapshot.policies.tip.team.limits
        if gone := fallen(repository.snapshot.policies.tip, self.actor.name):
            self._leave(gone)
            return
        self._guard("beat", lambda: self.do_beat(repository))
        self._guard("publish", lambda: self.do_publish(repository))
        self._guard("settle", lambda: self.do_settle(repository))
        if self._guard("restore", lambda: self.caution.held(self.state, repository.snapshot, self._say)) is not False:
            return
        self._guard("promises", lambda: self.do_promises(repository))
        self._guard("adopt", lambda: self.do_adopt(repository))
        if not self.short and not self.is_drained(repository):
            self._guard("reap", lambda: self.do_reap(repository))
            self._guard("claim", lambda: self.do_claim(repository))
        for pool in [*self.pools, HERE]:
            self._guard("archive", lambda pool=pool: self.do_archive(repository, pool))  # type: ignore[misc]

    def is_drained(self, repository: Repository) -> bool:
        """Whether this agent is to take nothing new: the policy says so."""
        agent = repository.snapshot.policies.tip.team.agent.get(self.actor.name.removeprefix("agent:"))
        return agent is not None and agent.drain

    def free(self) -> int:
        """Slots without an attempt."""
        return self.slots - len(self.workshop.running())

    # -- the steps of a turn ----------------------------------------------------------------------------

    def _leave(self, why: str) -> None:
        """Stops everything: nothing that this worker writes counts any more. Raises Dismissed once nothing runs."""
        for oid, build in self.workshop.running().items():
            if oid not in self.stopped:
                self._say("stopping", build, why)
                self.stopped.add(oid)
                self.workshop.stop(oid, why)
            if self._poll(oid, build) is not None:
                self.workshop.finish(oid)
        if not self.workshop.running():
            raise Dismissed(f"this worker may not build any more: {why}", hint="ask an admin: cit policy show")

    def do_resend(self) -> None:
        """Finds out about pushes whose answers were lost; refs whose last push is still in doubt are left alone."""
        for entry, pushed in resend(self.state, self.actor.journal, self._is_wanted):
            if pushed.answer is Answer.UNKNOWN:
                self._say("doubt", entry.ref.rpartition("/")[2], f"{entry.kind}: {pushed.message}")
        self.doubtful = frozenset(entry.ref for entry in self.actor.journal.entries())

    def _is_wanted(self, entry: Entrusted) -> bool:
        """Whether it should still be pushed: what rests on an observation of back then is decided anew."""
        if entry.kind == RecordType.CLAIM.value:
            body = self.body_of(entry.new)
            return body is not None and body.takeover is None
        return entry.kind not in (RecordType.LOST.value, RecordType.EXPIRED.value, "archive")

    def do_beat(self, repository: Repository) -> None:
        """Writes the advert and renews leases."""
        if self.advert is None:
            self.advert = self.workshop.advert(self.boot, self.slots, self.labels)
        if self.actor.name.startswith("agent:") and not self._beats_in_doubt():
            held = tuple(sorted(self.workshop.running()))
            beat(self.state, self.actor, repository, self.heart, self.advert, held, self.free(), self.short)

    def do_publish(self, repository: Repository) -> None:
        """Pushes the results of attempts that ended and still hold their builds."""
        for oid, build_id in self.workshop.running().items():
            result = self._poll(oid, build_id)
            build = self._find(repository, build_id)
            if result is None or build is None or build.held is None or build.held.claim != oid or build.is_final:
                continue
            if build.ref in self.doubtful:
                continue
            gone = stop_reason(repository.snapshot.policies.tip, build.owner, build.principal)
            if gone and result.outcome is not Outcome.PASSED:
                result = msgspec.structs.replace(result, outcome=Outcome.CANCELLED, reason=f"stopped: {gone}")
            result = conceal_result(self.state, repository.snapshot.policies, build, result)
            made = draft(self.state, self.actor, repository.snapshot, build, result)
            answer = push(self.state, self.actor, [made])[0]
            if answer.answer is Answer.DONE:
                self._say("result", build_id, ": ".join(filter(None, (result.outcome.value, result.reason))))
                self.workshop.finish(oid)
                # this turn's snapshot still shows the claim as current: it must not be adopted from it
                self.stopped.add(oid)

    def do_settle(self, repository: Repository) -> None:
        """Stops attempts that nobody waits for; what a stale one found out stays on disk as evidence."""
        for oid, build_id in self.workshop.running().items():
            build = self._find(repository, build_id)
            current = build is not None and build.held is not None and build.held.claim == oid and not build.is_final
            if build is not None and not current:
                if oid not in self.stopped:
                    self._say(
                        "stale", build_id, "another claim holds the build, or it is final; the attempt is evidence"
                    )
                    self.stopped.add(oid)
                    self.workshop.stop(oid, "the claim is not current any more")
                if self._poll(oid, build_id) is not None:
                    self.workshop.finish(oid)
            elif build is not None and oid not in self.stopped:
                gone = stop_reason(repository.snapshot.policies.tip, build.owner, build.principal)
                if reason := build.stopping.value if build.stopping else gone:
                    self._say("stopping", build_id, reason)
                    self.stopped.add(oid)
                    self.workshop.stop(oid, reason)

    def do_promises(self, repository: Repository) -> None:
        """Creates the refs of promised builds."""
        for pool in self.pools:
            for build in repository.active(pool):
                if build.broken or build.unsupported:
                    continue
                for created in create_promised(self.state, self.actor, repository, promises_of(build)):
                    self._say("promised", created, f"by build {build.id}")

    def do_adopt(self, repository: Repository) -> None:
        """Claims by this key that this process did not start: an earlier one died, before the start or after it."""
        self.unstarted = False
        known = self.actor.journal.claims()
        for pool in self.pools:
            for build in list(repository.active(pool)):
                held = build.held
                if not is_running(build) or held is None or held.actor != self.actor.name:
                    continue
                if held.claim in self.begun or held.claim in self.stopped or repository.is_archived(pool, build.id):
                    continue
                if held.claim in known or held.claim in self.workshop.running():
                    body = self.body_of(held.claim)
                    if body is not None and not build.stopping:
                        self.start(Claimed(build=build, claim=held.claim, body=body))
                else:
                    self._take_over(repository, build, Observed(claim=held.claim))

    def do_reap(self, repository: Repository) -> None:
        """Takes over, or ends, builds whose leases ran out."""
        for build, observed in reap.watch(self.state, repository, self.watches, self.pools):
            if build.held and build.held.claim in self.workshop.running():
                continue
            self._guard("reap", lambda b=build, o=observed: self._take_over(repository, b, o), build.id)  # type: ignore[misc]
        for ended in reap.end_expired(self.state, self.actor, repository, self.watches, self.pools):
            self._say("expired", ended, "waited too long")

    def _take_over(self, repository: Repository, build: Build, observed: Observed) -> None:
        if build.ref in self.doubtful:
            return
        spent = build.request is None or build.valid_claims >= build.request.max_attempts or bool(build.stopping)
        if spent:
            if reap.end_lost(self.state, self.actor, repository, build, observed):
                self._say("lost", build.id, "no attempt is left")
        elif self.free() > 0 and self._placed(repository, build):
            self._take(repository, build, observed)

    def do_claim(self, repository: Repository) -> None:
        """Takes what this agent may and can build, while there are slots."""
        running: Counter[str] = Counter()
        for pool in self.pools:
            running.update(build.owner or build.principal for build in repository.active(pool) if is_running(build))
        for build in in_order(candidates(repository, self.pools), self.watches.first_seen, running):
            if self.free() <= 0 or self.unstarted:
                # a node that cannot start what it won must not win everything
                return
            if build.ref in self.doubtful or (self.only and build.id not in self.only):
                continue
            self._guard("claim", lambda b=build: self._consider(repository, b), build.id)  # type: ignore[misc]

    def _consider(self, repository: Repository, build: Build) -> None:
        before = upstream(repository, build)
        if before.skip is not None:
            if skip(self.state, self.actor, repository, build, before.skip):
                self._say("skipped", build.id, before.skip.reason)
        elif before.ready and self._placed(repository, build) and self._can_fetch(repository, build):
            self._take(repository, build, None, before.finals)

    def _can_fetch(self, repository: Repository, build: Build) -> bool:
        if build.request is None:
            return False
        try:
            opened = need_open(reveal(self.state, build))
            if opened.request:
                fetchable(self.doors.sources, self.doors.configs, self.url, opened.request)
                pool = repository.snapshot.policies.tip.team.pool.get(build.pool)
                on_their_branches(self.doors.sources, self.url, opened.request, pool)
        except NotYet as error:
            self._say("not yet", build.id, error.message)
            return False
        return True

    def _placed(self, repository: Repository, build: Build) -> bool:
        if build.request is None:
            return False
        return all(one.ok for one in self._reasons(repository, build, self.offer(build.request)))

    def offer(self, request: Request) -> Advert:
        """What this node offers; tools that the request is the first to ask for are looked at."""
        wanted = {tool_name(tool) for tool in request.definition.requires.tools}
        if self.advert is None:
            self.advert = self.workshop.advert(self.boot, self.slots, self.labels)
        if wanted - self.looked - set(self.advert.tools):
            self.looked |= wanted
            known = sorted(self.looked | set(self.advert.tools))
            self.advert = self.workshop.advert(self.boot, self.slots, self.labels, known)
        return self.advert

    def _reasons(self, repository: Repository, build: Build, advert: Advert, free: int | None = None) -> list[Decision]:
        return reasons(repository, build, advert, self.actor.name.partition(":")[2], self.workshop, free)

    def _take(
        self, repository: Repository, build: Build, observed: Observed | None, finals: dict[str, Oid] | None = None
    ) -> None:
        if fallen_asker(repository.snapshot.policies.tip, build.owner, build.principal):
            return
        need_vault(self.state, build)
        need_open(reveal(self.state, build))
        decisions = self._reasons(repository, build, self.advert, self.free()) if self.advert else []
        claimed = claim(
            self.state, self.actor, repository, build, boot=self.boot, node=self.node, decisions=decisions,
            takeover=observed, finals=finals,
        )  # fmt: skip
        if claimed is not None:
            self._say("claimed", build.id, f"attempt {claimed.body.attempt}" + (" (takeover)" if observed else ""))
            if not self.hands_off:
                self.start(claimed)

    def start(self, claimed: Claimed) -> None:
        """Starts the attempt of a won claim, and says so on its chain."""
        build = need_open(reveal(self.state, claimed.build))
        if build.request is None:
            return
        adopted = claimed.claim in self.workshop.running()
        self.unstarted = True
        where = self.workshop.start(
            build.id, claimed.claim, build.request, claimed.body, own=self.own, inputs=lambda: needed(self.state, build)
        )
        self.begun.add(claimed.claim)
        self.unstarted = False
        self._say("adopted" if adopted else "started", build.id, where)
        if adopted and any(isinstance(one.link.record.body, Progress) for one in build.entries if one.link.record):
            return
        now = poll(self.state, [build.pool])
        fresh = self._find(Repository(self.state, now), build.id)
        # a build that was cancelled meanwhile takes no progress any more
        if fresh and fresh.held and fresh.held.claim == claimed.claim and fresh.state == Life.RUNNING.value:
            body = Progress(claim=claimed.claim, phase="command", where=where)
            push(self.state, self.actor, [draft(self.state, self.actor, now, fresh, body)])

    def do_archive(self, repository: Repository, pool: str) -> None:
        """Folds the pool's final builds."""
        for done in archive(self.state, self.actor, repository, pool):
            self._say("archived", done, "")

    # -- small things -----------------------------------------------------------------------------------

    def _look_at_disk(self) -> None:
        short = self._guard("disk", self.workshop.short) or ""
        if bool(short) != bool(self.short):
            self._say("short", "", short or "there is room again")
        # the words of the beginning: they hold a number that changes all the time, and end in records
        self.short = short and (self.short or short)

    def has_ended(self, claim: Oid, build: str) -> bool:
        """Whether the attempt has ended; asking is what captures times and enforces limits."""
        return self._poll(claim, build) is not None

    def _poll(self, claim: Oid, build: str) -> Result | None:
        return self._guard("poll", lambda: self.workshop.poll(claim), build)

    def _beats_in_doubt(self) -> bool:
        return self.state.refs.agent(self.actor.name.partition(":")[2], self.boot) in self.doubtful

    def body_of(self, oid: Oid) -> Claim | None:
        """The claim record at `oid`."""
        record = read_link(self.state, oid).record
        return record.body if record and isinstance(record.body, Claim) else None

    def _find(self, repository: Repository, build: str) -> Build | None:
        try:
            return repository.find(build)
        except NotYet:
            return None

    def _guard(self, step: str, act: Callable[[], T], build: str = "") -> T | None:
        """Does one step; an error of it is told and does not keep the others from their turn."""
        try:
            return act()
        except CitError as error:
            self._say("error", build, f"{step}: {error.message}")
        except OSError as error:
            # a full disk, no descriptor left: whichever file it was, the builds that run are not to suffer
            self._say("error", build, f"{step}: {error}")
        return None

    def _say(self, kind: str, build: str, text: str) -> None:
        self.tell(Event(kind, build, text))
