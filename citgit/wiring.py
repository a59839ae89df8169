"""The only file that chooses implementations: from a place on disk to a clone, an actor, a worker."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs

from citgit.config.read import read_cit
from citgit.config.resolve import resolve, selected_by_push
from citgit.errors import NotFound, UsageError
from citgit.executors import TABLE
from citgit.executors.choice import choose
from citgit.executors.environment import Place, Subject, environment
from citgit.flows.enqueue import Doors
from citgit.flows.state import Actor, State
from citgit.flows.worker import Event, Worker
from citgit.git.journal import FileJournal
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must, run
from citgit.git.remote import GitRemote
from citgit.git.sources import Mirrors
from citgit.git.tips import GitTips
from citgit.interfaces import Executor, Signer
from citgit.keys.program import signer_for
from citgit.keys.verify import SshVerifier
from citgit.logs.capture import Capture
from citgit.logs.first_error import first_error
from citgit.logs.read import tail
from citgit.machine import SystemClock, SystemEntropy
from citgit.model.job import CitToml, ResolvedJob, Value
from citgit.model.names import DEFAULT_ROOT, HERE, Refs, name
from citgit.model.record import Request
from citgit.model.team import Role, Team
from citgit.rules.authority import actor_of
from citgit.stores.collect import collect
from citgit.workspaces.workshop import Found, NodeWorkshop, Tools


class TomlConfigs:
    """Configs over the readers of `citgit.config`."""

    def read(self, files: Mapping[str, bytes]) -> CitToml:
        """The jobs."""
        return read_cit(files)

    def resolve(self, config: CitToml, job: str, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
        """One resolved job per cell."""
        return resolve(config, job, parameters=parameters)

    def selected(self, config: CitToml, branch: str, changed: Sequence[str] | None) -> list[str]:
        """The jobs that a push starts."""
        return selected_by_push(config, branch, changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A git checkout (or bare repository) that citgit was made ready in: `url` is where the state lives."""

    top: Path
    git_dir: Path
    url: str
    person: str
    key: Path | None
    state: State
    doors: Doors

    def actor(self) -> Actor:
        """The person who asks. Raises UsageError if no key is set up."""
        if self.key is None or not self.person:
            raise UsageError("no signing key is set up in this clone", hint="run 'cit init'")
        return Actor(
            name=f"person:{self.person}", signer=signer_for(self.key), journal=FileJournal(self.git_dir / "cit-journal")
        )


def data_dir() -> Path:
    """Where keys are kept, one per person and agent: the user's own data directory."""
    return Path(os.environ.get("CITGIT_HOME") or platformdirs.user_data_dir("citgit"))


def state_dir() -> Path:
    """Where workers keep mirrors, workspaces, attempts and journals."""
    return Path(os.environ.get("CITGIT_HOME") or platformdirs.user_state_dir("citgit"))


def git_place(directory: Path) -> tuple[Path, Path]:
    """The top of the checkout (or the bare repository itself) and its git directory. Raises UsageError."""
    found = run(["-C", str(directory), "rev-parse", "--is-bare-repository", "--absolute-git-dir"])
    if found.status:
        raise UsageError(
            f"not a git repository: {str(directory)!r}", hint="run this in a checkout, or name one with -C"
        )
    bare, git_dir = found.stdout.decode().splitlines()
    if bare == "true":
        return Path(git_dir), Path(git_dir)
    top = must(["-C", str(directory), "rev-parse", "--show-toplevel"], doing="find the checkout")
    return Path(top.stdout.decode().rstrip("\n")), Path(git_dir)


def setting(git_dir: Path, key: str) -> str:
    """A value of the repository's git config, "" if it is not set."""
    return run(["config", "--get", key], git_dir=git_dir).stdout.decode().strip()


def set_setting(git_dir: Path, key: str, value: str) -> None:
    """Sets a value in the repository's git config."""
    must(["config", "--local", key, value], git_dir=git_dir, doing=f"set {key}")


def open_clone(directory: Path) -> Clone:
    """The clone that `directory` is in. Raises UsageError."""
    top, git_dir = git_place(directory)
    url = setting(git_dir, "citgit.state") or setting(git_dir, "remote.origin.url") or str(git_dir)
    if not url.startswith(("/", "-")) and "://" not in url and ":" not in url.split("/")[0]:
        url = str((top / url).resolve())
    key = setting(git_dir, "citgit.key")
    refs = Refs(setting(git_dir, "citgit.refs") or DEFAULT_ROOT)
    state = client_state(git_dir, url, refs, pinned=setting(git_dir, "citgit.root"))
    return Clone(
        top=top, git_dir=git_dir, url=url, person=setting(git_dir, "citgit.person"), key=Path(key) if key else None,
        state=state, doors=Doors(sources=Mirrors(git_dir / "cit-mirrors"), configs=TomlConfigs()),
    )  # fmt: skip


def client_state(git_dir: Path, url: str, refs: Refs, *, pinned: str) -> State:
    """A client of the state repository at `url` whose objects and memory are in `git_dir`."""
    return State(
        refs=refs, objects=GitObjects(git_dir), remote=GitRemote(git_dir, url, refs.root),
        tips=GitTips(git_dir, refs.root), verifier=SshVerifier(), clock=SystemClock(), entropy=SystemEntropy(),
        pinned=pinned,
    )  # fmt: skip


def executors(hidden: Sequence[Path] = ()) -> dict[str, Executor]:
    """The executors of this node by name."""
    from citgit.executors.bwrap import bwrap

    found: dict[str, Executor] = {key: make(Capture()) for key, make in TABLE.items() if key != "bwrap"}
    found["bwrap"] = bwrap(Capture(), hidden)
    return found


def open_worker(
    url: str,
    home: Path,
    actor_name: str,
    signer: Signer,
    *,
    pools: Sequence[str] = (),
    slots: int = 1,
    source: str = "",
    team: Team | None = None,
    tell: Callable[[Event], None] = lambda event: None,
    root: str = DEFAULT_ROOT,
    pinned: str = "",
) -> Worker:
    """A worker for the state repository at `url`, all of whose files are below `home`."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = home / "state.git"
    if not (store / "HEAD").exists():
        init_bare(store, state_only=True)
    sources = Mirrors(home / "mirrors")
    tools = Tools(environment=_environment, choose=_choose, collect=_collect, tail=_tail, first_error=first_error)
    here = source or url
    workshop = NodeWorkshop(home, here, sources, executors([data_dir()]), tools)
    agent = team.agent.get(actor_name.removeprefix("agent:")) if team else None
    own = actor_name.startswith("person:")
    return Worker(
        state=client_state(store, url, Refs(root), pinned=pinned),
        actor=Actor(name=actor_name, signer=signer, journal=FileJournal(home / "journal")),
        doors=Doors(sources=sources, configs=TomlConfigs()), workshop=workshop, url=here,
        pools=list(pools) or (list(agent.pools) if agent else [HERE]), boot=_boot(), node=socket.gethostname(),
        slots=slots, labels=agent.labels if agent else (), own=own, tell=tell,
    )  # fmt: skip


def worker_home(url: str, actor_name: str) -> Path:
    """Where the worker of an actor for a state repository keeps its files."""
    digest = hashlib.sha256(f"{url}\n{actor_name}".encode()).hexdigest()[:16]
    return state_dir() / "workers" / f"{actor_name.replace(':', '-')}-{digest}"


def named_actor(team: Team, signer: Signer, wanted: str = "") -> str:
    """The actor that the key belongs to under a team. Raises NotFound with what to add to team.toml."""
    found = actor_of(team, signer.public_key)
    if found and (not wanted or found == wanted):
        return found
    name("agent", wanted.partition(":")[2] or "agent")
    raise NotFound(
        f"the key of {wanted or 'this machine'} is not in the policy",
        hint=f"add to team.toml on the protected branch, then run 'cit policy publish':\n\n"
        f'[agent.{wanted.partition(":")[2] or "NAME"}]\nkey = "{signer.public_key}"\npools = ["default"]\n',
    )


def is_admin(team: Team, person: str) -> bool:
    """Whether the person may publish policies."""
    return person in team.person and Role.ADMIN in team.person[person].roles


def _boot() -> str:
    return secrets.token_hex(8)


def _environment(
    *, request: Request, build: str, claim: str, attempt: int, workspace: Path, home: Path, tmp: Path, node: str
) -> dict[str, str]:
    subject = Subject(
        build=build, job=request.job, branch=request.branch, commit=request.sources[0].commit, cell=request.cell,
        parameters=request.parameters,
    )  # fmt: skip
    place = Place(
        claim=claim,
        node=node,
        cpus=os.cpu_count() or 1,
        user=getpass.getuser(),
        workspace=str(workspace),
        home=str(home),
        temporary=str(tmp),
    )
    wanted = request.definition.env
    # the matrix and the parameters reach the command through the subject, under the names that are reserved for them
    plain = {key: value for key, value in wanted.set.items() if not key.startswith("CIT_")}
    made = environment(subject, place, msgspec.structs.replace(wanted, set=plain), os.environ)
    return {"PATH": os.environ.get("PATH", made["PATH"]), **made} if "PATH" not in plain else made


def _choose(known: Mapping[str, Executor], wanted: str, own: bool) -> str:
    return choose(known, wanted, own=own)


def _collect(workspace: Path, directory: Path, request: Request) -> Found:
    kept = collect(workspace, directory / "artifacts", request.definition.keep)
    return Found(artifacts=kept.artifacts, tests=kept.tests, missing=kept.missing)


def _tail(log: Path) -> tuple[str, ...]:
    return tuple(line.text[:400] for line in tail(log, 20))
