"""From a place on disk to a clone: where its state lives, who asks in it, and what it remembers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from citgit.errors import Refused, UsageError
from citgit.flows.state import Actor, State
from citgit.git.journal import FileJournal
from citgit.git.objects import common_dir, init_bare, sync_tree
from citgit.git.program import must, run, shown
from citgit.git.tips import GitTips
from citgit.interfaces import Remote, Signer
from citgit.keys.age import AgeVault, age_file
from citgit.keys.public import allowed_signers
from citgit.keys.verify import SshVerifier
from citgit.machine import SystemClock, SystemEntropy, owned
from citgit.model.names import DEFAULT_ROOT, Refs, name
from citgit.model.policy import PolicyChain
from citgit.rules.authority import signers
from citgit.wiring.hosts import Branches, state_host

if TYPE_CHECKING:
    from citgit.flows.enqueue import Doors

__all__ = ["Clone", "client_state", "data_dir", "git_place", "init_bare", "open_clone", "set_setting", "setting"]


class NoCheckout(UsageError):
    """The directory is in no git repository."""


@dataclass(frozen=True, kw_only=True)
class Clone:
    """A git checkout (or bare repository) that citgit was made ready in: `url` is where the state lives.

    `git_dir` is what HEAD is in; `repository` the directory that all worktrees of a repository share; `source` is
    where workers find its code; `home` where this user's journal and mirrors for it are.
    """

    top: Path
    git_dir: Path
    repository: Path
    home: Path
    url: str
    source: str
    person: str
    key: Path | None
    state: State
    branches: Remote

    @cached_property
    def doors(self) -> Doors:
        """What asking for builds needs; loaded when it is asked for, since most verbs only read."""
        from citgit.flows.enqueue import Doors
        from citgit.wiring.hosts import own_sources
        from citgit.wiring.toml import TomlConfigs

        return Doors(sources=own_sources(self.home / "cit-mirrors", self.git_dir), configs=TomlConfigs())

    @property
    def journal(self) -> FileJournal:
        """The records that were signed here and whose push is not known to have happened."""
        return FileJournal(self.home / "cit-journal")

    def actor(self) -> Actor:
        """The person who asks. Raises UsageError if no key is set up, BadName if the name that is set is none."""
        if self.key is None or not self.person:
            raise UsageError("no signing key is set up in this clone", hint="run 'cit init'")
        from citgit.wiring.keys import signer_for

        return self.actor_as(f"person:{name('person', self.person)}", signer_for(self.key))

    def actor_as(self, name: str, signer: Signer) -> Actor:
        """Somebody who signs in this clone: a hook speaks with a key of its own."""
        return Actor(name=name, signer=signer, journal=self.journal)


def data_dir() -> Path:
    """Where keys are kept, one per person and agent: the user's own data directory."""
    if chosen := os.environ.get("CITGIT_HOME"):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_data_dir("citgit"))


def config_dir() -> Path:
    """Where a node's own settings are: tables that extend the shipped ones."""
    if chosen := os.environ.get("CITGIT_HOME"):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_config_dir("citgit"))


def state_dir() -> Path:
    """Where workers keep mirrors, workspaces, attempts and journals."""
    if chosen := os.environ.get("CITGIT_HOME"):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_state_dir("citgit"))


def mirror_folder(home: Path) -> Path:
    """Where the worker at `home` keeps mirrors of sources: the workers of one user on a node share theirs.

    A home elsewhere has its own: whoever may write beside it is not ours to know.
    """
    place = state_dir()
    if home.parent != place / "workers" or not owned(place) or place.stat().st_mode & 0o022:
        return home / "mirrors"
    shared = place / "mirrors"
    shared.mkdir(mode=0o700, exist_ok=True)
    return shared if owned(shared) else home / "mirrors"


def own_store(home: Path) -> Path:
    """A repository below `home` for records alone, made if missing. Raises Refused if others may write there."""
    for folder in (home.parent, home):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = home.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        # git would run what another user's configuration names
        raise Refused(
            f"others may write in {str(home)!r}",
            hint=f"use a folder of your own, or: chown {os.geteuid()} {home} && chmod go-w {home}",
        )
    store = home / "state.git"
    if not (store / "HEAD").exists():
        # whole under its name or absent: a power cut in the middle must not leave what git cannot read
        import shutil
        import tempfile

        fresh = Path(tempfile.mkdtemp(prefix=".state-", dir=home))
        init_bare(fresh, state_only=True)
        sync_tree(fresh)
        with contextlib.suppress(OSError):  # another program was faster
            fresh.rename(store)
            sync_tree(home, below=False)
        shutil.rmtree(fresh, ignore_errors=True)
    return store


def git_place(directory: Path) -> tuple[Path, Path]:
    """The top of the checkout (or the bare repository itself) and its git directory. Raises UsageError."""
    # whose repositories are safe to enter is for the user's own git configuration to say
    asked = ["rev-parse", "--is-bare-repository", "--absolute-git-dir", "--show-toplevel"]
    found = run(["-C", str(directory), *asked], network=True)
    if "dubious ownership" in found.stderr:
        raise UsageError(
            f"repository {str(directory)!r} belongs to another user",
            hint=f"if you trust it: git config --global --add safe.directory {directory}",
        )
    said = os.fsdecode(found.stdout).split("\n")
    if found.status and said[0] == "true":
        # a bare one has no top
        return Path(said[1]), Path(said[1])
    if found.status:
        raise NoCheckout(
            f"not a git repository: {str(directory)!r}", hint="run this in a checkout, or name one with -C"
        )
    return Path("\n".join(said[2:]).rstrip("\n")), Path(said[1])


def setting(git_dir: Path, key: str) -> str:
    """A value of the repository's git config, "" if it is not set."""
    return run(["config", "--get", key], git_dir=git_dir).stdout.decode(errors="replace").strip()


def settings(git_dir: Path) -> dict[str, str]:
    """The values that citgit reads of the repository's git config; of a name that is set twice, the last one."""
    wanted = r"^(citgit\..*|remote\.origin\.url)$"
    told = run(["config", "-z", "--get-regexp", wanted], git_dir=git_dir).stdout.decode(errors="replace")
    pairs = (one.partition("\n") for one in told.split("\0") if one)
    return {key: value.strip() for key, _, value in pairs}


def set_setting(git_dir: Path, key: str, value: str) -> None:
    """Sets a value in the repository's git config."""
    must(["config", "--local", key, value], git_dir=git_dir, doing=f"set {key}")


def open_clone(directory: Path) -> Clone:
    """The clone that `directory` is in. Raises UsageError."""
    top, git_dir = git_place(directory)
    repository = common_dir(git_dir)
    known = settings(git_dir)
    source = _address(top, known.get("remote.origin.url") or str(repository))
    url = _address(top, known.get("citgit.state") or source)
    key = known.get("citgit.key")
    refs = Refs(known.get("citgit.refs") or DEFAULT_ROOT)
    home = store = repository
    if not owned(repository):
        # a shared repository on a server: what one user writes in it, another may not be able to
        home = state_dir() / "clones" / hashlib.sha256(str(repository).encode()).hexdigest()[:16]
        store = own_store(home)
    state = client_state(store, url, refs, pinned=known.get("citgit.root", ""), key=Path(key) if key else None)
    return Clone(
        top=top, git_dir=git_dir, repository=repository, home=home, url=url, source=source,
        person=known.get("citgit.person", ""), key=Path(key) if key else None, state=state,
        branches=Branches(store, url, state.objects),
    )  # fmt: skip


def _address(top: Path, url: str) -> str:
    """The address with a relative path made absolute."""
    if url.startswith(("/", "-")) or "://" in url or ":" in url.split("/")[0]:
        return url
    return str((top / url).resolve())


def client_state(
    git_dir: Path, url: str, refs: Refs, *, pinned: str, key: Path | None = None, kept: bool = False
) -> State:
    """A client of the state repository at `url` whose objects and memory are in `git_dir`.

    `key` names the signing key; it, or the age identity beside it, opens what private builds hide.
    `kept`: one that stays, for whom a channel of its own pays, and whose memory is read once.
    """
    objects, remote = state_host(git_dir, url, refs.root, kept=kept)
    known = pinned or setting(git_dir, "citgit.root")
    return State(
        refs=refs, objects=objects, remote=remote, tips=GitTips(git_dir, refs.root, alone=kept),
        verifier=SshVerifier(), clock=SystemClock(), entropy=SystemEntropy(),
        vault=AgeVault([key, age_file(key)] if key else []), pinned=known,
        learned=lambda chain: learn(git_dir, url, chain, known),
    )  # fmt: skip


def learn(git_dir: Path, url: str, chain: PolicyChain, pinned: str) -> None:
    """Pins the root on first use, and tells plain git of everybody who ever had a key here."""
    if not pinned and not setting(git_dir, "citgit.root"):
        set_setting(git_dir, "citgit.root", chain.repo)
        print(
            f"pinned the root policy {chain.repo} of {shown(url)}, seen here for the first time; "
            "compare it with an admin's 'cit policy show'",
            file=sys.stderr,
        )
    path = common_dir(git_dir) / "cit-allowed-signers"
    first = f"# policy {chain.tip.oid}\n"
    if path.exists():
        with open(path, "rb") as file:
            if file.readline() == first.encode():
                return
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_text(first + allowed_signers(dict.fromkeys(signers(chain))))
    scratch.rename(path)
    if not setting(git_dir, "gpg.ssh.allowedSignersFile"):
        set_setting(git_dir, "gpg.ssh.allowedSignersFile", str(path))
