"""What this account's workers left on this machine, for those who come to read it: homes, attempts, policies."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from citgit.errors import CitError, NotFound, NotYet, Refused
from citgit.flows.builds import Repository
from citgit.flows.policies import fetch_policies
from citgit.flows.poll import remembered
from citgit.flows.state import State
from citgit.machine import owned
from citgit.model.build import Build
from citgit.model.names import Refs, is_build_id, is_oid
from citgit.model.plan import Plan
from citgit.model.record import Result
from citgit.wiring.clone import client_state, setting, state_dir
from citgit.workspaces.home import About, described
from citgit.workspaces.kept import CLEAN, Attempt

FRESH_S = 60.0
"""For how long what a worker remembers of the policy does; one that lives looks much more often."""

_PATIENCE_S = 3.0
_LOOKED = "policy-looked"


@dataclass(frozen=True)
class Home:
    """A worker's files on this machine."""

    path: Path
    about: About

    @property
    def name(self) -> str:
        """Whose they are, without the kind: "lab1"."""
        return self.about.actor.partition(":")[2]

    @cached_property
    def state(self) -> State:
        """The state repository as the worker remembers it."""
        store = self.path / "state.git"
        return client_state(store, self.about.url, Refs(self.about.root), pinned=setting(store, "citgit.root"))

    @cached_property
    def repository(self) -> Repository:
        """What the worker remembers, under the newest policy that the host lets us see. Raises NotFound, Refused."""
        self._look()
        return Repository(self.state, remembered(self.state))

    def _look(self) -> None:
        """Asks the host for its policy if nobody did for long, and not for longer than it takes to be friendly."""
        mark = self.path / _LOOKED
        with contextlib.suppress(OSError):
            if time.time() - mark.stat().st_mtime < FRESH_S:
                return
        with contextlib.suppress(OSError):
            mark.touch()
        asking = threading.Thread(target=self._ask, daemon=True)
        asking.start()
        asking.join(_PATIENCE_S)

    def _ask(self) -> None:
        with contextlib.suppress(CitError):
            fetch_policies(client_state(self.path / "state.git", self.about.url, self.state.refs, pinned=""))


@dataclass(frozen=True, slots=True)
class Kept:
    """An attempt whose files are here: `build` is what the records say of its build."""

    home: Home
    directory: Path
    attempt: Attempt
    build: Build


def homes(paths: Sequence[Path] = ()) -> list[Home]:
    """The homes at these paths; none given: those of all workers of this account. Raises Refused: not this user's."""
    for path in paths:
        if not is_own(path):
            raise Refused(f"{str(path)!r} is no worker's home of this user alone", hint="ask in the account of its own")
    chosen = list(paths) or sorted(path.parent for path in (state_dir() / "workers").glob("*/attempts"))
    return [Home(path, about) for path in chosen if is_own(path) and (about := described(path))]


def is_own(home: Path) -> bool:
    """Whether nobody else wrote what is there: git runs what the configuration of a repository names."""
    try:
        return all(owned(path) and not path.stat().st_mode & 0o022 for path in (home, home / "state.git"))
    except OSError:
        return False


def attempts(home: Home) -> Iterator[tuple[Path, Attempt, bool]]:
    """Directory of each attempt of a home, what it is for, and whether it is over."""
    for directory in sorted((home.path / "attempts").iterdir()):
        if is_oid(directory.name) and (attempt := _attempt(directory)):
            yield directory, attempt, (directory / CLEAN).exists()


def find_kept(among: Sequence[Home], claim: str) -> Kept:
    """The attempt of a claim. Raises NotFound: nothing of it is here, or nobody knows its build any more."""
    for home in among:
        directory = home.path / "attempts" / claim
        attempt = _attempt(directory) if is_oid(claim) else None
        if attempt is None or attempt.claim != claim:
            continue
        build = home.repository.find(attempt.build)
        if build is not None:
            return Kept(home, directory, attempt, build)
    raise NotFound(
        f"nothing of attempt {claim[:12]} is here", hint="it may have been tidied away: keep.days in cit.toml"
    )


def kept_result(kept: Kept) -> Result:
    """What came of the attempt, as this node has it. Raises NotYet while it runs."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((kept.directory / "result.json").read_bytes(), type=Result)
    raise NotYet(f"attempt {kept.attempt.claim[:12]} has not ended", hint="its artifacts are kept when it ends")


def kept_plan(kept: Kept) -> Plan | None:
    """How the command of the attempt was run; None if it was not."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((kept.directory / "plan.json").read_bytes(), type=Plan)
    return None


def is_over(kept: Kept) -> bool:
    """Whether nothing of the attempt runs any more, and its result is published."""
    return (kept.directory / CLEAN).exists()


def workspace_of(kept: Kept) -> Path:
    """The workspace that the attempt left. Raises NotFound if it is gone."""
    attempt = kept.attempt
    suffix = "" if attempt.number == 1 else f".{attempt.number}"
    path = kept.home.path / "workspaces" / f"{attempt.build}{suffix}"
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        plan = msgspec.json.decode((kept.directory / "plan.json").read_bytes(), type=Plan)
        if plan.away:
            raise NotFound(
                f"the workspace of build {attempt.build} is not on this node: it is at {plan.builder}",
                hint="whoever owns that machine can log in there; artifacts and the log are here",
            )
        path = Path(plan.workspace) if plan.builder else path
    if not is_build_id(attempt.build) or not path.is_dir():
        raise NotFound(f"the workspace of build {attempt.build} is gone", hint="keep.days in cit.toml says how long")
    return path


def _attempt(directory: Path) -> Attempt | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((directory / "attempt.json").read_bytes(), type=Attempt)
    return None
