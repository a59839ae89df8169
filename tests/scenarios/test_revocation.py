"""Revocation: by position, within one poll; earlier history stays valid, what slipped in between reads so."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from citgit.errors import Refused
from citgit.flows.builds import Repository
from citgit.flows.control import outcome_text
from citgit.flows.enqueue import Change, Wish, enqueue_person
from citgit.flows.policies import fetch_policies
from citgit.flows.poll import poll
from citgit.flows.publishing import publish, seal_of
from citgit.flows.worker import Worker
from citgit.flows.writing import push
from citgit.interfaces import Oid
from citgit.model.build import Build
from citgit.model.plan import Input
from citgit.model.record import Claim, Outcome, Request, Revoked
from citgit.model.team import OnRevoked, TeamLimits
from citgit.testing.keys import fake_public_key
from citgit.testing.simulation.node import COMMITS, Attempts
from citgit.testing.simulation.profile import PROFILES
from citgit.testing.simulation.world import World


class Steady(Attempts):
    """Attempts that take one poll and pass."""

    def start(
        self, build: str, claim: Oid, request: Request, claimed: Claim, *, own: bool,
        inputs: Callable[[], Sequence[Input]] = tuple,
    ) -> str:  # fmt: skip
        """Begins to run."""
        self.builds[claim], self.left[claim], self.ends[claim] = build, 2, Outcome.PASSED
        return "memory:/attempt"


class Team:
    """A host without faults, two workers, and an admin; from the simulation's parts."""

    def __init__(self) -> None:
        self.world = World(0, PROFILES["mixed"])
        self.state = self.world.client(self.world.nodes["anna"])
        self.admin = self.world.nodes["anna"].actor
        self.workers = [self.worker(at) for at in range(2)]

    def worker(self, at: int) -> Worker:
        """An agent with two slots; it says nothing."""
        node = self.world.node(f"lab{at}", f"agent:lab{at}")
        return Worker(
            state=self.world.client(node), actor=node.actor, doors=self.world.doors(),
            workshop=Steady(random.Random(0), lambda build, claim: None), url="self", pools=["default"], boot="b0",
            node="memory", slots=2,
        )  # fmt: skip

    def ask(self, who: str = "person:ben", job: str = "check") -> str:
        """A request; its id."""
        change = Change(url="self", branch="main", commit=COMMITS[0])
        actor = self.world.node(who, who).actor
        wish = Wish(jobs=[job])
        drafts = enqueue_person(self.state, actor, poll(self.state), self.world.doors(), change, wish)
        push(self.state, actor, drafts)
        return drafts[0].ref.rpartition("/")[2]

    def revoke(self, *names: str, limits: TeamLimits | None = None, seal: object = None) -> None:
        """The next policy, without these keys."""
        chain = fetch_policies(self.state)
        team = msgspec.structs.replace(chain.tip.team, limits=limits or chain.tip.team.limits)
        revoked = tuple(Revoked(key=fake_public_key(name), why="left") for name in names)
        sealed = seal or seal_of(self.state)
        publish(self.state, self.admin, team, before=chain, seal=sealed, revoked=revoked)  # type: ignore[arg-type]

    def build(self, build: str) -> Build:
        """The build as everybody reads it now."""
        found = Repository(self.state, poll(self.state)).find(build)
        assert found is not None
        return found

    def start(self, at: int, build: str) -> str:
        """Lets one worker claim; the claim, which then runs for long."""
        self.workers[at].turn()
        held = self.build(build).held
        assert held is not None
        attempts = self.workers[at].workshop
        assert isinstance(attempts, Attempts)
        attempts.left[held.claim] = 1000
        return held.claim


@pytest.mark.parametrize("revoked", list(OnRevoked))
def test_a_revoked_asker_s_builds(revoked: OnRevoked) -> None:
    """Nobody claims what waits; what runs is stopped at the next turn, unless the policy lets it finish."""
    world = Team()
    running = world.ask()
    claim = world.start(0, running)
    waiting = world.ask()
    world.revoke("ben", limits=TeamLimits(revoked=revoked))
    for worker in (*world.workers, *world.workers):
        worker.turn()
    assert world.build(waiting).state == "waiting"
    attempts = world.workers[0].workshop
    assert isinstance(attempts, Attempts)
    if revoked is OnRevoked.STOP:
        assert attempts.left[claim] <= 0
    else:
        assert attempts.left[claim] > 900
        attempts.left[claim] = 1
        world.workers[0].turn()
        assert world.build(running).outcome is Outcome.PASSED


def test_a_revoked_agent_stops_and_another_takes_over_at_once() -> None:
    """The revoked worker leaves; nobody waits for its lease."""
    world = Team()
    build = world.ask()
    claim = world.start(0, build)
    world.revoke("lab0")
    with pytest.raises(Refused, match="agent:lab0 was revoked: left"):
        world.workers[0].turn()
    attempts = world.workers[0].workshop
    assert isinstance(attempts, Attempts)
    assert attempts.left[claim] <= 0
    world.workers[1].turn()
    found = world.build(build)
    assert [bool(entry.void) for entry in found.entries][:3] == [False] * 3  # its sealed claim stays valid
    assert found.held is not None
    assert found.held.actor == "agent:lab1"


def test_what_slipped_in_between_scan_and_publish() -> None:
    """A result that no seal covers turns void: archived, it reads errored (revoked) and stays final."""
    world = Team()
    before, slipped = world.ask(), ""
    while not world.build(before).is_final:
        world.workers[0].turn()
    seal = seal_of(world.state)
    slipped = world.ask()
    for _ in range(20):
        world.workers[0].turn()
    assert world.build(slipped).outcome is Outcome.PASSED
    world.revoke("lab0", seal=seal)
    found = world.build(slipped)
    assert (found.outcome, found.is_final, found.revoked) == (Outcome.ERRORED, True, True)
    assert outcome_text(found) == "errored (revoked)"
    assert world.build(before).outcome is Outcome.PASSED
    world.workers[1].turn()
    assert world.build(slipped).final == found.final  # it is not built again: a retry is a new build


def test_a_sealed_archive_stays_what_it_is() -> None:
    """The same, but the archive was there when the revoking policy read it."""
    world = Team()
    build = world.ask()
    for _ in range(20):
        world.workers[0].turn()
    world.revoke("lab0", "ben")
    found = world.build(build)
    assert (found.outcome, found.revoked) == (Outcome.PASSED, False)


CIT = '[job.check]\ncommand = ["sleep", "900"]\n'


@pytest.mark.heavy
def test_real_workers(tmp_path: Path) -> None:
    """A running build of a revoked person is cancelled, a revoked agent's worker ends with status 3; within a poll."""
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "HOME": str(tmp_path), "CITGIT_HOME": str(tmp_path / "keys"), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "anna", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "anna",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }  # fmt: skip
    top, program = tmp_path / "project", [sys.executable, "-m", "citgit.programs.cit"]

    def run(*argv: str, ok: tuple[int, ...] = (0,)) -> str:
        done = subprocess.run(argv, cwd=top, env=env, capture_output=True, text=True, check=False)
        assert done.returncode in ok, (argv, done.stdout, done.stderr)
        return done.stdout

    def cit(*argv: str, ok: tuple[int, ...] = (0,)) -> str:
        return run(*program, *argv, ok=ok)

    def state() -> dict[str, object]:
        found: dict[str, object] = json.loads(cit("show", "--json", ok=(0, 1, 3, 4, 5, 75)))
        return found

    def until(wanted: dict[str, object], seconds: float = 40) -> float:
        began = time.monotonic()
        while not wanted.items() <= (last := state()).items():
            assert time.monotonic() - began < seconds, (last["state"], last["outcome"], last["reason"])
        return time.monotonic() - began

    top.mkdir()
    run("git", "init", "-q", "-b", "main")
    (top / "cit.toml").write_text(CIT)
    run("git", "add", ".")
    run("git", "commit", "-q", "-m", "first")
    cit("init", "--name", "anna")
    workers = {}
    for agent in ("lab1", "lab2"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / agent)], check=True)
        key = (tmp_path / f"{agent}.pub").read_text().strip()
        with open(top / "team.toml", "a") as team:
            team.write(f'\n[agent.{agent}]\nkey = "{key}"\n')
    run("git", "commit", "-q", "-am", "agents")
    cit("policy", "publish")
    try:

        def start(agent: str) -> None:
            argv = [*program, "worker", "--agent", agent, "--key", str(tmp_path / agent), "--own", "--no-doors"]
            with open(tmp_path / f"{agent}.log", "w") as out:
                argv += ["--interval", "0.3"]
                workers[agent] = subprocess.Popen(argv, cwd=top, env=env, stdout=out, stderr=out)

        start("lab1")
        cit("run", "check", "--pool", "default", "--no-follow")
        until({"state": "running", "agent": "agent:lab1"})
        start("lab2")
        cit("policy", "revoke", "lab1", "--why", "reinstalled")
        assert workers["lab1"].wait(40) == 3, (tmp_path / "lab1.log").read_text()
        assert "agent:lab1 was revoked: reinstalled" in (tmp_path / "lab1.log").read_text()
        until({"state": "running", "agent": "agent:lab2"})
        cit("policy", "recover", "--key", str(tmp_path / "keys" / "keys" / "anna-recovery"), "--name", "anna")
        shown = state()
        assert (shown["state"], shown["agent"]) == ("running", "agent:lab2")  # anna has a new key: she still stands
        line = cit("policy", "invite", "ben", "--role", "admin").split()
        cit(*line[1:], "--into", str(tmp_path / "ben"))
        cit("policy", "accept")
        ben = [*program, "policy", "revoke", "anna", "--why", "left", "-C", str(tmp_path / "ben")]
        run(*ben)
        until({"outcome": "cancelled"})
        assert "stopped: person:anna was revoked: left" in str(state()["reason"])
        assert "revoked" in cit("why")
    finally:
        for worker in workers.values():
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
                worker.wait(20)
