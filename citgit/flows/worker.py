"""One agent's worker: what it does in one turn, in an order that any crash may interrupt (PROTOCOL §4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.structs import replace

from citgit.errors import Dismissed, NotYet, RemoteAway
from citgit.flows import reap
from citgit.flows.archive import archive, disputes
from citgit.flows.attempts import Attempts
from citgit.flows.builds import Repository, is_running
from citgit.flows.chains import read_link
from citgit.flows.claims import Claimed, Proven, candidates, draft_claim, is_finished, on_their_branches, upstream
from citgit.flows.enqueue import Doors, create_promised
from citgit.flows.heartbeat import Heart, beat, renewed
from citgit.flows.outbox import Outbox
from citgit.flows.placing import needed, reasons
from citgit.flows.poll import poll
from citgit.flows.private import need_open, need_vault, reveal
from citgit.flows.progress import Unsaid
from citgit.flows.restore import Caution
from citgit.flows.results import draft_result
from citgit.flows.state import Actor, State
from citgit.flows.telling import Event, Once, guarded
from citgit.flows.writing import Draft, draft, is_wanted, resend
from citgit.interfaces import Answer, Oid, Workshop
from citgit.model.build import Build
from citgit.model.names import HERE
from citgit.model.record import Advert, Body, Claim, Decision, Observed, Progress, RecordType, Request, Result
from citgit.model.team import Team
from citgit.rules.authority import fallen, fallen_asker, stop_reason
from citgit.rules.judge import promises_of
from citgit.rules.lifecycle import State as Life
from citgit.rules.ordering import in_order
from citgit.rules.placement import tool_name

T = TypeVar("T")
_FOLD_BUSY = 10.0  # seconds


@dataclass(slots=True, kw_only=True)
class Worker:
    """An agent at work. `url` is the repository that records call "self"; `own` trusts the builds as its user's own.

    `only` limits it to some builds: a person who builds here builds what they asked for, nothing else.
    `hands_off` claims without starting: the small programs do one step each. What the steps of a turn write waits in
    the outbox until `flush`.
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
    doubtful: frozenset[str] = frozenset()
    short: str = ""
    unstarted: bool = False
    caution: Caution = field(default_factory=Caution)
    attempts: Attempts = field(init=False)
    outbox: Outbox = field(default_factory=Outbox)
    unsaid: Unsaid = field(default_factory=Unsaid)
    proven: Proven = field(default_factory=Proven)
    promised: set[Oid] = field(default_factory=set)
    quiet: set[str] = field(default_factory=set)
    once: Once = field(default_factory=Once)
    chained: bool = False
    folded: float = float("-inf")
    only: frozenset[str] = frozenset()
    hands_off: bool = False
    team: Team = field(default_factory=lambda: Team(protected=""))

    def __post_init__(self) -> None:
        self.attempts = Attempts(self.workshop, lambda event: self.tell(event))

    def turn(self) -> None:
        """One turn. Raises nothing that the next turn could mend.

        Raises:
            Refused: the policy cannot be trusted. Dismissed: it does not let this worker build any more.
        """
        self.quiet.clear()
        self.once.turn()
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
        self.team = repository.snapshot.policies.tip.team
        if gone := fallen(repository.snapshot.policies.tip, self.actor.name):
            if self.attempts.stop_all(gone):
                raise Dismissed(f"this worker may not build any more: {gone}", hint="ask an admin: cit policy show")
            return
        self._guard("beat", lambda: self.do_beat(repository))
        self._guard("publish", lambda: self.do_publish(repository))
        self._guard("progress", lambda: self.do_progress(repository))
        self._guard("settle", lambda: self.do_settle(repository))
        if self._guard("restore", lambda: self.caution.held(self.state, repository.snapshot, self._say)) is not False:
            self.flush()
            return
        self._guard("promises", lambda: self.do_promises(repository))
        self._guard("adopt", lambda: self.do_adopt(repository))
        if not self.short and not self.is_drained(repository):
            self._guard("reap", lambda: self.do_reap(repository))
            self._guard("claim", lambda: self.do_claim(repository))
        self.flush()
        now = self.state.clock.monotonic()
        # archiving delays no build: it waits until nothing runs, but not for ever
        if not self.workshop.running() or now - self.folded >= _FOLD_BUSY:
            self.folded = now
            for pool in [*self.pools, HERE]:
                self._guard("archive", lambda pool=pool: self.do_archive(repository, pool))  # type: ignore[misc]

    def is_drained(self, repository: Repository) -> bool:
        """Whether this agent is to take nothing new: the policy says so."""
        agent = repository.snapshot.policies.tip.team.agent.get(self.actor.name.removeprefix("agent:"))
        return agent is not None and agent.drain

    def free(self) -> int:
        """Slots without an attempt that runs, or a claim that is about to be pushed."""
        return self.slots - self.attempts.busy() - self.outbox.count(RecordType.CLAIM.value)

    def patience(self) -> float:
        """Seconds until this worker has something to say whatever happens meanwhile."""
        return self.unsaid.patience(self.state.clock.monotonic())

    def flush(self) -> None:
        """Pushes what this turn wants to write, as one, and acts on what got through."""
        sent = self._guard("push", lambda: self.outbox.send(self.state, self.actor)) or ()
        # claims last: starting takes longer than anything else
        for made, done in sorted(sent, key=lambda one: one[0].kind == RecordType.CLAIM.value):
            if made.kind != RecordType.RESULT.value or not self.chained:
                self.quiet.add(made.ref)
            self._guard(made.kind, lambda made=made, done=done: done(made))  # type: ignore[misc]

    # -- the steps of a turn ----------------------------------------------------------------------------

    def do_resend(self) -> None:
        """Finds out about pushes whose answers were lost; refs whose last push is still in doubt are left alone."""
        for entry, pushed in resend(self.state, self.actor.journal, lambda entry: is_wanted(self.state, entry)):
            if pushed.answer is Answer.UNKNOWN:
                self._say("doubt", entry.ref.rpartition("/")[2], f"{entry.kind}: {pushed.message}")
        self.doubtful = frozenset(entry.ref for entry in self.actor.journal.entries())

    def do_beat(self, repository: Repository) -> None:
        """Writes the advert and renews leases."""
        known = self.advert or self.workshop.advert(self.boot, self.slots, self.labels)
        self.advert = renewed(known, self.heart, self.state.entropy)
        self.boot = self.advert.boot
        kind, _, agent = self.actor.name.partition(":")
        if kind == "agent" and self.state.refs.agent(agent, self.boot) not in self.doubtful:
            held = tuple(sorted(self.workshop.running()))
            beat(self.state, self.actor, repository, self.heart, self.advert, held, self.free(), self.short)

    def do_publish(self, repository: Repository) -> None:
        """Drafts the results of attempts that ended and still hold their builds."""
        for oid, build_id in self.workshop.running().items():
            result = self.attempts.poll(oid, build_id)
            build = self._find(repository, build_id) if result else None
            if result is None or build is None or build.held is None or build.held.claim != oid or build.is_final:
                continue
            if build.ref not in self.doubtful:
                self._guard("publish", lambda b=build, r=result: self._publish(repository, b, r), build_id)  # type: ignore[misc]

    def _publish(self, repository: Repository, build: Build, result: Result) -> None:
        if not result.log.where and (where := self.unsaid.where(result.claim)):
            result = replace(result, log=replace(result.log, where=f"{where}/log"))
        made = draft_result(self.state, self.actor, repository, build, result)
        self.outbox.add(made, lambda made: self._published(made, result))

    def _published(self, made: Draft, result: Result) -> None:
        build = made.ref.rpartition("/")[2]
        self._say("result", build, ": ".join(filter(None, (result.outcome.value, result.reason))))
        self.attempts.finish(result.claim)
        # this turn's snapshot still shows the claim as current: it must not be adopted from it
        self.attempts.stopped.add(result.claim)

    def do_progress(self, repository: Repository) -> None:
        """Says of attempts that have run for a moment where they run."""
        running = self.workshop.running()
        for claim, where in self.unsaid.due(self.state.clock.monotonic(), running, self.attempts.ended):
            build = self._find(repository, running[claim])
            # a build that was cancelled meanwhile takes no progress any more
            held = build is not None and build.held is not None and build.held.claim == claim
            if build and held and build.state == Life.RUNNING.value and build.ref not in self.doubtful:
                body = Progress(claim=claim, phase="command", where=where)
                self.outbox.add(self._draft(repository, build, body), lambda made: None)

    def do_settle(self, repository: Repository) -> None:
        """Stops attempts that nobody waits for."""
        policy = repository.snapshot.policies.tip
        self.attempts.settle(
            lambda build: self._find(repository, build), lambda build: stop_reason(policy, build.owner, build.principal)
        )

    def do_promises(self, repository: Repository) -> None:
        """Creates the refs of promised builds."""
        for pool in self.pools:
            for build in repository.active(pool):
                if build.broken or build.unsupported or build.tip in self.promised:
                    continue
                for created in create_promised(self.state, self.actor, repository, promises := promises_of(build)):
                    self._say("promised", created, f"by build {build.id}")
                if not promises:
                    self.promised.add(build.tip)

    def do_adopt(self, repository: Repository) -> None:
        """Claims by this key that this process did not start: an earlier one died, before the start or after it."""
        self.unstarted = False
        known = self.actor.journal.claims()
        for pool in self.pools:
            for build in list(repository.active(pool)):
                held = build.held
                if not is_running(build) or held is None or held.actor != self.actor.name:
                    continue
                if held.claim in self.attempts.begun or held.claim in self.attempts.stopped:
                    continue
                there = self._guard("adopt", lambda b=build: repository.is_archived(b.pool, b.id), build.id)  # type: ignore[misc]
                if there is not False:
                    continue  # it is archived, or nobody can tell yet
                if held.claim in known or held.claim in self.workshop.running():
                    body = self.body_of(held.claim)
                    if body is not None and not build.stopping:
                        self.start(Claimed(build=build, claim=held.claim, body=body))
                else:
                    self._take_over(repository, build, Observed(claim=held.claim))

    def do_reap(self, repository: Repository) -> None:
        """Drafts the claims that take over builds whose leases ran out; ends those without an attempt left."""
        for build, observed in reap.watch(self.state, repository, self.watches, self.pools):
            if build.held and build.held.claim in self.workshop.running():
                continue
            self._guard("reap", lambda b=build, o=observed: self._take_over(repository, b, o), build.id)  # type: ignore[misc]
        for ended in reap.end_expired(self.state, self.actor, repository, self.watches, self.pools):
            self._say("expired", ended, "waited too long")

    def _take_over(self, repository: Repository, build: Build, observed: Observed) -> None:
        if build.ref in self.doubtful or repository.is_archived(build.pool, build.id):
            return
        spent = build.request is None or build.valid_claims >= build.request.max_attempts or bool(build.stopping)
        if spent:
            if reap.end_lost(self.state, self.actor, repository, build, observed):
                self._say("lost", build.id, "no attempt is left")
        elif self.free() > 0 and self._placed(repository, build):
            self._take(repository, build, observed)

    def do_claim(self, repository: Repository) -> None:
        """Drafts claims of what this agent may and can build, for each slot that is free."""
        running: Counter[str] = Counter()
        for pool in self.pools:
            running.update(build.owner or build.principal for build in repository.active(pool) if is_running(build))
        waiting = candidates(repository, self.pools, self.actor.name, self.watches.first_seen)
        self.chained = any(build.request and build.request.upstream for build in waiting)
        for build in in_order(waiting, self.watches.first_seen, running):
            if self.free() <= 0 or self.unstarted:
                # a node that cannot start what it won must not win everything
                return
            if build.ref in self.doubtful or (self.only and build.id not in self.only):
                continue
            self._guard("claim", lambda b=build: self._consider(repository, b), build.id)  # type: ignore[misc]

    def _consider(self, repository: Repository, build: Build) -> None:
        if repository.is_archived(build.pool, build.id):
            return
        before = upstream(repository, build)
        if before.skip is not None:
            reason = before.skip.reason
            skipped = self._draft(repository, build, before.skip)
            self.outbox.add(skipped, lambda made: self._say("skipped", build.id, reason))
        elif before.ready and self._placed(repository, build) and self._can_fetch(repository, build):
            self._take(repository, build, None, before.finals)

    def _can_fetch(self, repository: Repository, build: Build) -> bool:
        request = need_open(reveal(self.state, build)).request
        if request is None:
            return False
        try:
            if not self.proven.holds(request):
                # fetching may take long: what is known goes out first
                self.flush()
                self.proven.prove(self.doors, self.url, request)
            pool = repository.snapshot.policies.tip.team.pool.get(build.pool)
            on_their_branches(self.doors.sources, self.url, request, pool)
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
        return reasons(repository, build, advert, self.actor.name.partition(":")[2], self.workshop, free, self.own)

    def _take(
        self, repository: Repository, build: Build, observed: Observed | None, finals: dict[str, Oid] | None = None
    ) -> None:
        if fallen_asker(repository.snapshot.policies.tip, build.owner, build.principal):
            return
        need_vault(self.state, build)
        need_open(reveal(self.state, build))
        decisions = self._reasons(repository, build, self.advert, self.free()) if self.advert else []
        made, claimed = draft_claim(
            self.state, self.actor, repository, build, boot=self.boot, node=self.node, decisions=decisions,
            takeover=observed, finals=finals,
        )  # fmt: skip
        self.outbox.add(made, lambda made: self._won(repository, claimed))

    def _won(self, repository: Repository, claimed: Claimed) -> None:
        if not is_finished(self.state, repository, claimed):
            took = f"attempt {claimed.body.attempt}" + (" (takeover)" if claimed.body.takeover else "")
            self._say("claimed", claimed.build.id, took)
            if not self.hands_off:
                self.start(claimed)

    def start(self, claimed: Claimed) -> None:
        """Starts the attempt of a won claim; that it runs is said on its chain a little later."""
        build = need_open(reveal(self.state, claimed.build))
        if build.request is None:
            return
        adopted = claimed.claim in self.workshop.running()
        self.unstarted = True
        where = self.workshop.start(
            build.id, claimed.claim, build.request, claimed.body, own=self.own, inputs=lambda: needed(self.state, build)
        )
        self.attempts.begun.add(claimed.claim)
        self.unstarted = False
        self._say("adopted" if adopted else "started", build.id, where)
        if not any(isinstance(one.link.record.body, Progress) for one in build.entries if one.link.record):
            self.unsaid.note(claimed.claim, where, self.state.clock.monotonic())

    def do_archive(self, repository: Repository, pool: str) -> None:
        """Folds the pool's final builds."""
        for done in archive(self.state, self.actor, repository, pool):
            self._say("archived", done, "")
        for build in disputes(repository, pool):
            self._say("alarm", build.id, "its ref and the archive show two ends: 'cit restore' settles it")

    def _look_at_disk(self) -> None:
        short = self._guard("disk", self.workshop.short) or ""
        if bool(short) != bool(self.short):
            self._say("short", "", short or "there is room again")
        # the words of the beginning: they hold a number that changes all the time, and end in records
        self.short = short and (self.short or short)

    def body_of(self, oid: Oid) -> Claim | None:
        """The claim record at `oid`."""
        record = read_link(self.state, oid).record
        return record.body if record and isinstance(record.body, Claim) else None

    def _find(self, repository: Repository, build: str) -> Build | None:
        with suppress(NotYet):
            return repository.find(build)
        return None

    def _guard(self, step: str, act: Callable[[], T], build: str = "") -> T | None:
        return guarded(self.tell, step, act, build)

    def _draft(self, repository: Repository, build: Build, body: Body) -> Draft:
        return draft(self.state, self.actor, repository.snapshot, build, body, stored=False)

    def _say(self, kind: str, build: str, text: str) -> None:
        self.once.pass_on(Event(kind, build, text), self.tell)
