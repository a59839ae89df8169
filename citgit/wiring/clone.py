"""From a place on disk to a clone: where its state lives, who asks in it, and what it remembers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from citgit.errors import UsageError
from citgit.flows.enqueue import Doors
from citgit.flows.state import Actor, State
from citgit.git.journal import FileJournal
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must, run
from citgit.git.tips import GitTips
from citgit.interfaces import Signer
from citgit.keys.verify import SshVerifier
from citgit.machine import SystemClock, SystemEntropy
from citgit.model.names import DEFAULT_ROOT, Refs
from citgit.wiring.configs import TomlConfigs
from citgit.wiring.hosts import mirrors, state_remote
from citgit.wiring.keys import signer_for

__all__ = ["Clone", "client_state", "data_dir", "git_place", "init_bare", "open_clone", "set_setting", "setting"]


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

    @property
    def journal(self) -> FileJournal:
        """The records that were signed here and whose push is not known to have happened."""
        return FileJournal(self.git_dir / "cit-journal")

    def actor(self) -> Actor:
        """The person who asks. Raises UsageError if no key is set up."""
        if self.key is None or not self.person:
            raise UsageError("no signing key is set up in this clone", hint="run 'cit init'")
        return self.actor_as(f"person:{self.person}", signer_for(self.key))

    def actor_as(self, name: str, signer: Signer) -> Actor:
        """Somebody who signs in this clone: a hook speaks with a key of its own."""
        return Actor(name=name, signer=signer, journal=self.journal)


def data_dir() -> Path:
    """Where keys are kept, one per person and agent: the user's own data directory."""
    return Path(os.environ.get("CITGIT_HOME") or platformdirs.user_data_dir("citgit"))


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
        state=state, doors=Doors(sources=mirrors(git_dir / "cit-mirrors", git_dir), configs=TomlConfigs()),
    )  # fmt: skip


def client_state(git_dir: Path, url: str, refs: Refs, *, pinned: str) -> State:
    """A client of the state repository at `url` whose objects and memory are in `git_dir`."""
    return State(
        refs=refs, objects=GitObjects(git_dir), remote=state_remote(git_dir, url, refs.root),
        tips=GitTips(git_dir, refs.root), verifier=SshVerifier(), clock=SystemClock(), entropy=SystemEntropy(),
        pinned=pinned,
    )  # fmt: skip
