"""`cit worker`: polls, claims and builds, until it is told to stop."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from citgit.errors import CitError, Dismissed, NotFound, Refused, RemoteAway, TryAgain, UsageError
from citgit.flows.builds import Repository
from citgit.flows.enqueue import Change, enqueue_push, supersede_older
from citgit.flows.policies import fetch_policies
from citgit.flows.poll import poll, remembered
from citgit.flows.state import State
from citgit.flows.telling import Event
from citgit.flows.worker import Worker
from citgit.model.names import DEFAULT_ROOT, name
from citgit.model.settings import Settings
from citgit.model.team import Team
from citgit.model.units import parse_size
from citgit.rules.authority import may_speak
from citgit.rules.pacing import LEAST, jittered, next_pause
from citgit.wiring.clone import data_dir, open_clone
from citgit.wiring.keys import age_key, ensure_key, named_actor, signer_for
from citgit.wiring.node import read_settings
from citgit.wiring.target import target_of
from citgit.wiring.upkeep import Upkeep
from citgit.wiring.worker import BranchTrigger, branch_door, lock, node_state, open_worker, share, wake, worker_home

# Seconds after which branches are looked at although nobody told of a push, more or less.
_DOOR = 30.0


@click.command("worker", epilog="Example: cit worker --agent lab1 --slots 2")
@click.option("-C", "directory", default=".", help="a checkout whose state repository to serve")
@click.option("--url", default="", help="the state repository, if there is no checkout here")
@click.option(
    "--source", default="", help="the repository of the code, if that is another; default: as the checkout says"
)
@click.option("--config", default="", help="a file with the answers to most of this, as 'cit agent install' writes it")
@click.option("--agent", default="", help="the agent's name in team.toml")
@click.option("--key", default="", help="the agent's key; made if left out")
@click.option("--home", default="", help="where everything goes; default: mirrors beside those of your other agents")
@click.option("--slots", default=0, help="builds at once; default: as in team.toml")
@click.option("--own", is_flag=True, help="trust all builds as one's own: no sandbox is required")
@click.option("--builder", "builders", multiple=True, help="login of a user who runs builds, e.g. b1@localhost; repeat")
@click.option("--target", default="", help="login of a machine with only sshd, git and a shell, where all builds run")
@click.option("--target-key", default="", help="the key file for it; default: as ssh is set up")
@click.option("--target-host-key", default="", help="its host key, 'ssh-ed25519 AAAA…'; default: as ssh knows it")
@click.option("--target-folder", default="", help="where builds go there; default: .cit-target in the home directory")
@click.option("--shared", default="", help="with --group: the folder for workspaces that the group may read")
@click.option("--group", default="", help="with --shared: the unix group")
@click.option("--attempt-keys", is_flag=True, help="sign each attempt's records with a key of its own")
@click.option("--keep-free", default="", help="disk that builds leave, e.g. 5 GiB; default: 1 GiB, or 5 % of less")
@click.option("--doors/--no-doors", default=True, help="look for pushes to branches")
@click.option("--once", is_flag=True, help="build what waits, then leave")
@click.option("--interval", default=0.0, help="seconds between polls; default: 1 to 30, by what happens")
@click.option("--json", "as_json", is_flag=True, help="one JSON document per event")
def command(
    directory: str, config: str, url: str, source: str, agent: str, key: str, home: str, slots: int, own: bool,
    builders: tuple[str, ...], target: str, target_key: str, target_host_key: str, target_folder: str,
    shared: str, group: str, attempt_keys: bool, keep_free: str, doors: bool, once: bool, interval: float,
    as_json: bool,
) -> None:  # fmt: skip
    """Serves a state repository as an agent: polls, claims, builds, pushes signed results."""
    told = Settings(
        agent=agent, url=url, source=source, slots=slots, own=own, keep_free=keep_free, builders=builders,
        attempt_keys=attempt_keys, target=target, target_key=target_key, target_host_key=target_host_key,
        target_folder=target_folder, shared=shared, group=group,
    )  # fmt: skip
    asked = _settings(told, config, directory)
    agent, url, root = asked.agent, asked.url, asked.refs or DEFAULT_ROOT
    path = Path(key) if key else data_dir() / "keys" / agent
    _, made = ensure_key(path, agent)
    if made:
        click.echo(f"made a key for agent {agent}: {path}", err=True)
    place = Path(home).absolute() if home else worker_home(url, f"agent:{agent}")
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = lock(place / "lock")
    if held is None:
        raise UsageError(
            f"another worker of agent {agent!r} runs on {str(place)!r}", hint="one worker per agent and node"
        )
    _share(asked, place)
    team = _team(node_state(url, place, root, pinned=asked.root))
    signer = signer_for(path)
    actor = named_actor(team, signer, f"agent:{agent}", age_key(path))
    worker = open_worker(
        url, place, actor, signer, key=path, team=team,
        slots=_slots(asked.slots or team.agent[agent].slots, asked.builders), tell=_teller(as_json),
        source=asked.source, root=root, pinned=asked.root, kept=not once,
        keep_free=parse_size(asked.keep_free) if asked.keep_free else -1, builders=asked.builders,
        attempt_keys=asked.attempt_keys, target=target_of(asked, place),
    )  # fmt: skip
    worker.own = asked.own
    serve(worker, place, doors=doors, once=once, interval=interval)


def _settings(told: Settings, config: str, directory: str) -> Settings:
    """What was told on the command line, then what a file says, then what the checkout knows. Raises UsageError."""
    if config:
        known = read_settings(Path(config))
        changes = {key: value for key, value in msgspec.structs.asdict(told).items() if value}
        told = msgspec.structs.replace(known, **changes)
    if not told.agent:
        raise UsageError("which agent?", hint="cit worker --agent NAME")
    name("agent", told.agent)
    if not told.url:
        clone = open_clone(Path(directory))
        told = msgspec.structs.replace(
            told, url=clone.url, root=clone.state.pinned, refs=clone.state.refs.root, source=told.source or clone.source
        )
    return told


def _share(asked: Settings, place: Path) -> None:
    """Opens the workspaces to a group, if the owner of the node says so. Raises UsageError."""
    if bool(asked.shared) != bool(asked.group):
        raise UsageError("workspaces are shared in a folder with a group", hint="name both: --shared and --group")
    if asked.group and (asked.builders or asked.target):
        raise UsageError("workspaces of builders and of a target are not here", hint="leave out --shared and --group")
    if asked.group:
        share(place, Path(asked.shared), asked.group)


def _slots(wanted: int, builders: tuple[str, ...]) -> int:
    """A builder builds one thing at a time."""
    return min(wanted, len(builders)) if builders else wanted


def serve(worker: Worker, place: Path, *, doors: bool, once: bool, interval: float) -> None:
    """Turns until SIGTERM or SIGINT (running builds go on, the next worker adopts them), or all is done.

    `interval` is in seconds; 0 lets what happens set the pace.
    """
    leaving: list[int] = []
    woken: list[int] = []
    for number, into in ((signal.SIGTERM, leaving), (signal.SIGINT, leaving), (signal.SIGUSR1, woken)):
        signal.signal(number, lambda got, frame, into=into: into.append(got))  # type: ignore[misc]
    door = branch_door(worker, place)
    waker = wake(worker)
    pause, told, due = LEAST, Told(worker.tell), 0.0
    upkeep = Upkeep(place, worker.url)
    worker.tell = told
    worker.tell(Event("serving", "", f"{worker.actor.name} on pools {', '.join(worker.pools)}"))
    while not leaving:
        woken.clear()
        if doors and (waker.pushed() or worker.state.clock.monotonic() >= due):
            look(worker, door)
            # workers of one node share a mirror: they take turns, and each look brings what all need
            due = worker.state.clock.monotonic() + jittered(_DOOR, worker.state.entropy.uniform(0, 1))
        try:
            worker.turn()
        except Dismissed:
            raise
        except CitError as error:
            # nothing was acted upon; what it takes to mend it happens elsewhere, while builds run here
            worker.watches.failed()
            worker.tell(Event("error", "", error.message))
            if once:
                raise
        if once and not worker.workshop.running():
            return
        upkeep.turn(worker.state.clock.monotonic(), idle=not worker.workshop.running())
        pause = next_pause(pause, worker.team.limits, active=told.news(), holding=bool(worker.workshop.running()))
        chance = worker.state.entropy.uniform(0, 1)
        waker.wait(
            min(interval or jittered(pause, chance), worker.patience()),
            lambda: bool(leaving or woken) or ended(worker),
            busy=lambda: bool(worker.workshop.running()), ends=worker.workshop.descriptors, own=worker.quiet,
        )  # fmt: skip
    upkeep.end()


class Told:
    """Passes events on, and knows whether there were any that more may follow."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._news = False

    def __call__(self, event: Event) -> None:
        """Passes one on."""
        self._news = self._news or event.kind not in ("away", "error", "alarm")
        self._tell(event)

    def news(self) -> bool:
        """Whether anything happened since this was last asked; a host that is away is no reason to hurry."""
        news, self._news = self._news, False
        return news


def _team(state: State) -> Team:
    """The team of the policy in force, or, while the host is away, of the last one that was seen. Raises RemoteAway."""
    try:
        return fetch_policies(state).tip.team
    except (TryAgain, Refused):
        with contextlib.suppress(NotFound):
            return remembered(state).policies.tip.team
        raise


def ended(worker: Worker) -> bool:
    """Whether an attempt has ended; also captures times and enforces limits."""
    # every one is asked, not only up to the first that ended: asking is what enforces limits
    answers = [worker.attempts.poll(claim, build) is not None for claim, build in worker.workshop.running().items()]
    return any(answers)


def look(worker: Worker, door: BranchTrigger) -> None:
    """The worker's door: requests what pushes to branches start."""
    try:
        for branch, old, new in door.due():
            repository = Repository(worker.state, poll(worker.state))
            if not may_speak(repository.snapshot.policies.tip.team, worker.actor.name, "trigger:push"):
                continue
            change = Change(url=worker.url, branch=branch, commit=new, old=old)
            for asked in enqueue_push(worker.state, worker.actor, repository, worker.doors, change, principal="push"):
                if asked.kept:
                    raise RemoteAway(f"{worker.url!r} did not answer: {branch!r} is looked at again")
                if asked.new:
                    worker.tell(Event("queued", asked.build, f"{asked.job} on {branch} (door: worker)"))
                    after = Repository(worker.state, poll(worker.state))
                    supersede_older(worker.state, worker.actor, after, after.find(asked.build))
            door.done(branch, new)
    except TryAgain as error:
        worker.tell(Event("away", "", error.message))
    except CitError as error:
        worker.tell(Event("error", "", f"door: {error.message}"))


def _teller(as_json: bool) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        line = f"{event.kind:>9}  {event.build[-12:]:12}  {event.text}"
        if as_json:
            document = {"version": 1, "event": event.kind, "build": event.build, "text": event.text}
            line = json.dumps(document)
        with contextlib.suppress(OSError):  # a full disk under our output is no reason to leave the builds alone
            print(line, flush=True)

    return tell
