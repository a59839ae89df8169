"""What everybody does all day: workers, small programs, archivers, requesters, doors, and those who interfere."""

from __future__ import annotations

from contextlib import suppress

from citgit.errors import CitError, Refused
from citgit.flows.archive import archive
from citgit.flows.builds import Repository
from citgit.flows.claims import Claimed, is_finished
from citgit.flows.control import control
from citgit.flows.enqueue import Change, Wish, enqueue_person, enqueue_push, supersede_older
from citgit.flows.poll import poll
from citgit.flows.publishing import publish, seal_of
from citgit.flows.restore import begin, doubts, push_back, release
from citgit.flows.worker import Worker
from citgit.flows.writing import push, resend
from citgit.interfaces import Oid
from citgit.model.record import Body, Cancel, Pause, Priority, Resume
from citgit.testing.simulation.node import COMMITS, Node
from citgit.testing.simulation.world import STEPPERS, WORKERS, Life, World


def worker(world: World, node: Node) -> Life:
    """An agent that turns. When it crashes, a new boot finds the disk as it was, or a new disk."""

    def life() -> None:
        node.boots += 1
        made = new_worker(world, node, f"b{node.boots}")
        with suppress(Refused):  # the policy does not know it any more
            while True:
                made.turn()

    return life


def small_programs(world: World, node: Node) -> Life:
    """A shell loop over cit-claim, cit-build, cit-publish, cit-archive and at times cit-reap, each a process."""

    def life() -> None:
        while True:
            for program in (_claim_and_build, _publish_and_archive, _reap):
                with suppress(CitError):
                    program(world, node)
                world.switch()

    return life


def _claim_and_build(world: World, node: Node) -> None:
    first = _step(world, node)
    first.hands_off = True
    repository, held = _look(first)
    if held:
        return
    first.do_beat(repository)
    before = node.actor.journal.claims()
    first.slots = len(node.attempts.running()) + 1
    first.do_claim(repository)
    first.flush()
    new = node.actor.journal.claims() - before
    second = _step(world, node)
    repository = Repository(second.state, poll(second.state))
    for build in repository.active():
        body = second.body_of(build.held.claim) if build.held and build.held.claim in new else None
        if build.held and body:
            claimed = Claimed(build=build, claim=build.held.claim, body=body)
            if is_finished(second.state, repository, claimed):
                continue
            second.start(claimed)
            while node.attempts.poll(build.held.claim) is None:
                world.switch()


def _publish_and_archive(world: World, node: Node) -> None:
    made = _step(world, node)
    repository, held = _look(made)
    made.do_publish(repository)
    made.flush()
    made.do_settle(repository)
    if held:
        return
    made.do_promises(repository)
    made.do_archive(repository, "default")


def _reap(world: World, node: Node) -> None:
    if world.source.random() < 0.7:
        return
    made = _step(world, node)
    if _look(made)[1]:
        return
    until = made.state.clock.monotonic() + 2.5 * world.ttl
    while made.state.clock.monotonic() < until:
        made.do_reap(Repository(made.state, poll(made.state)))
        made.flush()


def _look(made: Worker) -> tuple[Repository, bool]:
    repository = Repository(made.state, poll(made.state))
    return repository, made.caution.held(made.state, repository.snapshot, lambda kind, build, text: None)


def new_worker(world: World, node: Node, boot: str) -> Worker:
    """A worker of the node that starts now."""
    return Worker(
        state=world.client(node), actor=node.actor, doors=world.doors(), workshop=node.attempts, url="self",
        pools=["default"], boot=boot, node="memory", slots=2,
    )  # fmt: skip


def _step(world: World, node: Node) -> Worker:
    made = new_worker(world, node, f"{STEPPERS}-steps")
    made.advert = made.workshop.advert(made.boot, 2, ())
    made.do_resend()
    return made


def archiver(world: World, node: Node) -> Life:
    """An agent that only archives, beside the workers who do so too."""

    def life() -> None:
        state = world.client(node)
        checked: set[Oid] = set()
        while True:
            with suppress(CitError):
                repository = Repository(state, poll(state))
                push_back(state, repository.snapshot)
                if not doubts(state, repository.snapshot, checked):
                    archive(state, node.actor, repository, "default")
            world.switch()

    return life


def requester(world: World, node: Node) -> Life:
    """Asks for pipelines, and pushes what was kept until all got through; a crash loses nothing that was kept."""
    left = list(range(world.profile.requests))

    def life() -> None:
        state, actor = world.client(node), node.actor
        while True:
            try:
                world.tell(node, idle=not left and not actor.journal.entries())
                if node.name in world.idle:
                    # whoever asked comes back now and then to see how it went
                    push_back(state, poll(state))
                    continue
                world.accept([answer for _, answer in resend(state, actor.journal)])
                if left:
                    snapshot = poll(state)
                    left.pop()
                    wish, change = Wish(jobs=["after"]), Change(url="self", branch="main", commit=COMMITS[0])
                    drafts = enqueue_person(state, actor, snapshot, world.doors(), change, wish)
                    world.accept(push(state, actor, drafts))
            except CitError:
                pass
            world.switch()

    return life


def door(world: World, node: Node) -> Life:
    """Notices each push, as every other door does, and that it supersedes the one before."""
    seen: list[Oid] = []

    def life() -> None:
        state, actor = world.client(node), node.actor
        while True:
            world.switch()
            head = world.branch.heads("self")["main"]
            try:
                world.tell(node, idle=head == COMMITS[-1] and head in seen and not actor.journal.entries())
                if head in seen and not actor.journal.entries():
                    push_back(state, poll(state))
                    continue
                world.accept([answer for _, answer in resend(state, actor.journal)])
                repository = Repository(state, poll(state))
                change = Change(url="self", branch="main", commit=head)
                for asked in enqueue_push(state, actor, repository, world.doors(), change, principal="push"):
                    if not asked.kept:
                        world.accepted.add(asked.build)
                    after = Repository(state, poll(state))
                    supersede_older(state, actor, after, after.find(asked.build))
                seen.append(head)
            except CitError:
                continue

    return life


def interferer(world: World, node: Node) -> Life:
    """A maintainer who cancels, holds and re-orders some builds, and in the end lets go what is held."""
    acts = [False] * 4 + [True] * world.profile.cancels

    def life() -> None:
        state, actor = world.client(node), node.actor
        while True:
            for _ in range(1 if acts and acts[-1] else 6):
                world.switch()
            try:
                resend(state, actor.journal)
                repository = Repository(state, poll(state))
                builds = [build for build in repository.active() if not build.is_final and not build.broken]
                if acts and builds:
                    bodies: tuple[Body, ...] = (Cancel(), Pause(), Pause(), Priority(priority=5))
                    body = Cancel() if acts.pop() else world.source.choice(bodies)
                    control(state, actor, repository, world.source.choice(builds), body)
                elif not acts:
                    for build in builds:
                        if build.state == "paused":
                            control(state, actor, repository, build, Resume())
            except CitError:
                continue

    return life


def admin(world: World, node: Node) -> Life:
    """Drops an agent once, where the trace asks for it, and after a restore holds, gives back, and lets go."""

    def life() -> None:
        state, actor = world.client(node), node.actor
        while True:
            world.switch()
            with suppress(CitError):
                world.tell(node, idle=not world.wanted)
                resend(state, actor.journal)
                snapshot = poll(state)
                push_back(state, snapshot)
                if world.wanted == "restore":
                    begin(state, state.remote, actor, "simulated")
                    world.wanted = "release"
                    world.tell(node, idle=False)
                    for _ in range(15):
                        world.switch()
                        push_back(state, poll(state))
                elif world.wanted == "release":
                    if snapshot.policies.tip.hold:  # else it got through, and only the answer was lost
                        release(state, state.remote, actor, "simulated")
                    world.wanted = ""
                elif world.wanted == "revoke":
                    team = world.team(without=WORKERS[-1])
                    publish(state, actor, team, before=snapshot.policies, seal=seal_of(state))
                    # the host may have come back from a backup meanwhile, and a restore is wanted by now
                    world.wanted = "" if world.wanted == "revoke" else world.wanted

    return life
