"""From a state repository to a worker: its workshop, its door, what wakes it, its lock on the node."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

import msgspec

from citgit.errors import CitError
from citgit.executors import TABLE, executor
from citgit.executors.as_builder import as_builder
from citgit.executors.builders import Builders
from citgit.executors.choice import choose
from citgit.executors.environment import Place, Subject, environment
from citgit.executors.local import LocalExecutor
from citgit.executors.masking import Mask
from citgit.executors.process import PROCESS
from citgit.executors.split import split_environment
from citgit.executors.target import Target
from citgit.flows.enqueue import Doors
from citgit.flows.secrets import NodeSecrets
from citgit.flows.state import Actor, State
from citgit.flows.telling import Event
from citgit.flows.worker import Worker
from citgit.git.embedded import place_of
from citgit.git.journal import FileJournal
from citgit.interfaces import Executor, Signer, Sources
from citgit.keys.age import age_file
from citgit.keys.attempt import CertifiedKeys
from citgit.logs.capture import TOOLS, Capture
from citgit.logs.first_error import first_error
from citgit.logs.local import LocalLog
from citgit.logs.matchers import Matchers
from citgit.logs.read import tail
from citgit.logs.sections import mark_off
from citgit.logs.tree import recorded
from citgit.machine import lock
from citgit.model.job import Keep
from citgit.model.names import DEFAULT_ROOT, HERE, Refs
from citgit.model.plan import Room
from citgit.model.record import Component, FirstError, Request
from citgit.model.team import Team
from citgit.nodes.secrets import read_secrets
from citgit.ssh.remote import ChannelRemote
from citgit.stores.collect import collect
from citgit.triggers.branch import BranchTrigger
from citgit.wiring.clone import (
    client_state,
    config_dir,
    data_dir,
    mirror_folder,
    own_store,
    set_setting,
    setting,
    state_dir,
)
from citgit.wiring.hosts import mirrors
from citgit.wiring.packing import Packing, matchers
from citgit.wiring.target import bring, target_executors
from citgit.wiring.toml import TomlConfigs
from citgit.workspaces.home import About, describe
from citgit.workspaces.parts import Found, Tools
from citgit.workspaces.reserve import Reserve
from citgit.workspaces.shared import share
from citgit.workspaces.wake import Wake
from citgit.workspaces.workshop import NodeWorkshop

__all__ = ["BranchTrigger", "Wake", "branch_door", "lock", "node_state", "open_worker", "share", "wake", "worker_home"]

T = TypeVar("T")

# Whoever may talk to these is root.
_SOCKETS = tuple(map(Path, ("/var/run/docker.sock", "/run/podman/podman.sock", "/run/containerd/containerd.sock")))


def node_state(
    url: str, home: Path, root: str = DEFAULT_ROOT, *, pinned: str = "", key: Path | None = None, kept: bool = False
) -> State:
    """A client of the state repository at `url` whose objects and memory are below `home`, made if missing.

    `key` opens what private builds hide. `kept`: one that stays: a channel of its own pays, and its
    memory is read once. The root that a worker was told is noted, for `cit-serve` to trust no other one here.
    """
    store = own_store(home)
    if pinned and setting(store, "citgit.root") != pinned:
        set_setting(store, "citgit.root", pinned)
    return client_state(store, url, Refs(root), pinned=pinned, key=key, kept=kept)


def branch_door(worker: Worker, home: Path) -> BranchTrigger:
    """The worker's door: what it remembers of the branches it saw is below `home`."""
    return BranchTrigger(worker.doors.sources, worker.url, home / "heads.json")


def wake(worker: Worker) -> Wake:
    """What wakes the worker before its next poll is due."""
    remote = worker.state.remote
    return Wake(place_of(worker.url), remote if isinstance(remote, ChannelRemote) else None)


def executors(hidden: Sequence[Path] = (), elsewhere: Builders | Target | None = None) -> dict[str, Executor]:
    """The executors of this node by name; with builders or a target those that run commands as or at them."""
    from citgit.executors.bwrap import bwrap, wrapper

    if isinstance(elsewhere, Target):
        return target_executors(elsewhere)
    if builders := elsewhere:
        return {
            "process": LocalExecutor(as_builder(PROCESS, builders, isolated=False), Capture()),
            "bwrap": LocalExecutor(as_builder(wrapper(()), builders, isolated=True), Capture()),
        }
    found: dict[str, Executor] = {key: make(Capture()) for key, make in TABLE.items() if key != "bwrap"}
    found["bwrap"] = bwrap(Capture(), hidden)
    return found


def named_executor(name: str) -> Executor:
    """A fresh executor of that name: a built-in one, else the program `cit-executor-NAME`. Raises BadName."""
    return executor(name, Capture())


def open_worker(
    url: str,
    home: Path,
    actor_name: str,
    signer: Signer,
    *,
    key: Path | None = None,
    pools: Sequence[str] = (),
    slots: int = 1,
    source: str = "",
    team: Team | None = None,
    tell: Callable[[Event], None] = lambda event: None,
    root: str = DEFAULT_ROOT,
    pinned: str = "",
    kept: bool = False,
    keep_free: int = -1,
    builders: Sequence[str] = (),
    attempt_keys: bool = False,
    target: Target | None = None,
) -> Worker:
    """A worker for the state repository at `url`, all of whose files are below `home`; `kept` if it stays.

    `keep_free` bytes of its disk are not used by new builds (negative: the default). `builders` are the logins of
    other users who run the builds, `target` is the machine where they run. `attempt_keys`: each attempt's records are
    signed by a key of its own.
    """
    state = node_state(url, home, root, pinned=pinned, key=key, kept=kept)
    sources = mirrors(mirror_folder(home), home / "state.git")
    here = source or url
    secrets = node_secrets(here, sources, lambda: worker.team.protected, away=target is not None)
    tools = Tools(
        environment=_environment,
        choose=_choose,
        collect=partial(_collect, target),
        tail=lambda log: _read(lambda: _tail(log), ()),
        first_error=partial(_first_error, matchers()),
        components=lambda log: _read(lambda: _components(log), ()),
        over=Packing(home).finished,
        programs=(TOOLS,),
        entrusts=secrets.decide,
        secrets=secrets.give,
        mask=lambda values: Mask(values).text,
    )
    describe(home, About(url=url, actor=actor_name, source=here, root=root))
    hidden = [data_dir(), home, mirror_folder(home), _secrets_file(), *_key_files(key)]
    others = target or (_builders(builders, home, hidden) if builders else None)
    workshop = NodeWorkshop(
        home, here, sources, executors(hidden, others), tools, reserve=Reserve(home, keep_free), rooms=others
    )
    agent = team.agent.get(actor_name.removeprefix("agent:")) if team else None
    own = actor_name.startswith("person:")
    keys = CertifiedKeys(home / "attempt-keys", key, actor_name) if attempt_keys and key else None
    worker = Worker(
        state=state, team=team or Team(protected=""),
        actor=Actor(name=actor_name, signer=signer, journal=FileJournal(home / "journal"), keys=keys),
        doors=Doors(sources=sources, configs=TomlConfigs()), workshop=workshop, url=here,
        pools=list(pools) or (list(agent.pools) if agent else [HERE]), boot=_boot(), node=socket.gethostname(),
        slots=slots, labels=agent.labels if agent else (), own=own, tell=tell,
    )  # fmt: skip
    return worker


def node_secrets(url: str, sources: Sources, protected: Callable[[], str], *, away: bool) -> NodeSecrets:
    """Those that this node holds for the repository at `url`."""
    return NodeSecrets(lambda: read_secrets(_secrets_file()), url, sources, protected, away)


def _secrets_file() -> Path:
    return config_dir() / "secrets.toml"


def _key_files(key: Path | None) -> list[Path]:
    """What no build may read, wherever the user keeps it."""
    return [key, age_file(key)] if key else []


def _builders(addresses: Sequence[str], home: Path, hidden: Sequence[Path]) -> Builders:
    private = [*hidden, home / "attempts", home / "journal", Path.home() / ".ssh", *_SOCKETS]
    return Builders(addresses, home / "builders", home / "attempts", private, TOOLS)


def worker_home(url: str, actor_name: str) -> Path:
    """Where the worker of an actor for a state repository keeps its files."""
    digest = hashlib.sha256(f"{url}\n{actor_name}".encode()).hexdigest()[:16]
    return state_dir() / "workers" / f"{actor_name.replace(':', '-')}-{digest}"


def _boot() -> str:
    return token_hex(8)


def _environment(
    *, request: Request, build: str, claim: str, directory: Path, room: Room, node: str
) -> dict[str, str]:  # fmt: skip
    subject = Subject(
        build=build, job=request.job, branch=request.branch, commit=request.sources[0].commit, cell=request.cell,
        parameters=request.parameters,
    )  # fmt: skip
    tools = room.tools or str(TOOLS)
    place = Place(
        claim=claim,
        node=node,
        cpus=room.cpus or os.cpu_count() or 1,
        user=room.user or _user(),
        workspace=os.path.realpath(room.workspace),
        directory=str(directory),
        home=room.home,
        temporary=room.temporary,
        log=room.log,
        tools=tools,
    )
    wanted = request.definition.env
    # the matrix and the parameters reach the command through the subject, under the names that are reserved for them
    plain = {key: value for key, value in wanted.set.items() if not key.startswith("CIT_")}
    # the worker's own PATH: what its advert says is there must be there for the command too
    wanted = msgspec.structs.replace(wanted, set=plain, pass_=(*wanted.pass_, "PATH"))
    if room.away:
        # the programs that stand in for build systems are set up for what is on this machine
        return environment(subject, place, wanted, {**os.environ, "PATH": room.path})
    made = environment(subject, place, wanted, os.environ)
    if wanted.secrets:
        del made["CIT_LOG"]  # what a build writes into parts of its own is not masked
    return split_environment(made, request.definition.log.split, tools)


@cache
def _user() -> str:
    return getpass.getuser()


def _choose(known: Mapping[str, Executor], wanted: str, own: bool) -> str:
    return choose(known, wanted, own=own)


def _collect(target: Target | None, workspace: Path, directory: Path, request: Request) -> Found:
    keep = request.definition.keep
    if target is None:
        return _found(workspace, directory, keep)
    brought = directory / "brought"
    try:
        fault = bring(target, workspace, brought, (*keep.artifacts, *keep.junit))
        return Found(fault=fault) if fault else _found(brought, directory, keep)
    finally:
        shutil.rmtree(brought, ignore_errors=True)


def _found(workspace: Path, directory: Path, keep: Keep) -> Found:
    kept = collect(workspace, directory / "artifacts", keep)
    return Found(artifacts=kept.artifacts, tests=kept.tests, missing=kept.missing)


def _read(act: Callable[[], T], nothing: T) -> T:
    """What a log tells; `nothing` if it cannot be read: the build wrote it, and its result does not wait for that."""
    try:
        return act()
    except (CitError, OSError, ValueError, ArithmeticError, LookupError, RecursionError, MemoryError):
        return nothing


def _tail(log: Path) -> tuple[str, ...]:
    return tuple(line.text[:400] for line in tail(LocalLog(log), "", 20))


def _first_error(table: Matchers, log: Path) -> FirstError | None:
    return _read(lambda: first_error(LocalLog(log), table), None)


def _components(log: Path) -> tuple[Component, ...]:
    mark_off(log)
    return recorded(LocalLog(log).nodes())
