"""Where the log of a build is, and how it is reached from here."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from os.path import isfile
from pathlib import Path
from typing import Protocol, runtime_checkable

from citgit.errors import NodeAway, NotFound
from citgit.model.build import Build
from citgit.model.policy import PolicyView
from citgit.model.record import Progress
from citgit.programs.wording import agent as holder
from citgit.programs.wording import plain
from citgit.wiring.clone import Clone
from citgit.wiring.hosts import login_of
from citgit.wiring.logs import LocalLog, LogSource

_LOOK_S = 0.03


@runtime_checkable
class Waits(Protocol):
    """A log that is asked when there is more of it."""

    def wait(self) -> None:
        """Until it has changed."""


@runtime_checkable
class Closes(Protocol):
    """A log that holds something open."""

    def close(self) -> None:
        """Lets it go."""


def where(build: Build) -> str:
    """ "NODE:/path" of the log of the last attempt that says so; "" if none does."""
    if build.result and build.result.log.where:
        return build.result.log.where
    for entry in reversed(build.entries):
        body = entry.link.record.body if entry.link.record and not entry.void else None
        if isinstance(body, Progress) and body.where:
            return f"{body.where}/log"
    return ""


def scp_line(policy: PolicyView, build: Build, part: str, target: str) -> str:
    """How somebody with an account on the node copies a part of what an attempt left; "" if it is not known where."""
    node, _, log = where(build).partition(":")
    directory = log.removesuffix("/log")
    if not directory.startswith("/"):
        return ""
    agent = policy.team.agent.get(holder(build).partition(":")[2])
    at = login_of(agent.host) if agent and agent.host else None
    # whose account it would be is for the reader to know
    host = at.host.rpartition("@")[2] if at else node
    far = shlex.quote(plain(f"{f'[{host}]' if ':' in host else host}:{directory}/{part}"))
    return " ".join(["scp", *(["-P", at.port] if at and at.port else []), "-r", "--", far, shlex.quote(target)])


def local_log(build: Build) -> Path | None:
    """The log's directory if it is on this machine."""
    path = where(build).partition(":")[2]
    # a report asks this of every build there is: without a Path, most answers cost nothing
    return Path(path) if path.startswith("/") and isfile(f"{path}/component.json") else None


def open_log(
    clone: Clone, policy: PolicyView, build: Build, again: Callable[[NodeAway], bool] = lambda error: False
) -> LogSource:
    """The log: on this machine, else on the node that has it; `again` is asked after a break whether to go on.

    Raises NotFound, NodeAway, NoServe: it cannot be read now; Refused: not by this person.
    """
    if root := local_log(build):
        return LocalLog(root)
    agent = policy.team.agent.get(holder(build).partition(":")[2])
    if agent is None or not agent.host:
        raise NotFound(
            f"the policy does not say how to reach {holder(build)}" if holder(build) else "it has not been tried yet",
            hint="an admin gives agents a 'host' in team.toml",
        )
    from citgit.wiring.nodes import RemoteLog, far  # slow to load, and mostly not needed

    source = RemoteLog(partial(far(clone, policy, build).call, "log"), again)
    source.nodes()
    return source


def pause(clone: Clone, source: LogSource) -> None:
    """Waits until the log may have changed."""
    if isinstance(source, Waits):
        source.wait()
    else:
        clone.state.clock.sleep(_LOOK_S)
