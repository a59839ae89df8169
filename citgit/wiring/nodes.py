"""What verbs reach of attempts: those on this machine, and those on nodes, over one ssh connection a node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from citgit.errors import NodeAway, NoServe, NotFound, Refused
from citgit.model.build import Build
from citgit.model.plan import Input
from citgit.model.policy import PolicyView
from citgit.model.record import Claim
from citgit.ssh.call import Call, node_line
from citgit.ssh.connection import Connection
from citgit.ssh.login import PROGRAMS
from citgit.ssh.reading import Cleaned, Content, Done, Get
from citgit.ssh.remote_log import RemoteLog
from citgit.wiring.clone import Clone, state_dir
from citgit.wiring.hosts import Ways
from citgit.wiring.proofs import prove
from citgit.workspaces.inputs import bring
from citgit.workspaces.landing import Landing, landing

__all__ = ["Call", "Cleaned", "Far", "RemoteLog", "bring_kept", "far", "shell_line"]

FOLDERS = ("", PROGRAMS)
"""Where cit-serve is for who has a shell on a node: on PATH, or where `cit agent install` puts it."""

_AT_ONCE = 1 << 20


def bring_kept(target: Path, files: Sequence[Input], home: Path | None = None) -> None:
    """Copies kept files below `target`, each verified; `home` is a worker's that may hold them besides the usual.

    Raises NotFound if one is not on this machine, Refused if its content is not what its result says.
    """
    usual = sorted(path.parent for path in (state_dir() / "workers").glob("*/attempts"))
    bring([*([home] if home else []), *usual], target, files)


@dataclass(frozen=True, slots=True)
class Far:
    """The attempt of a build on the node that made it: `host` is how to reach that, "" if the policy does not say.

    `folder` is where cit-serve was found there.
    """

    clone: Clone
    build: Build
    claim: str
    agent: str
    host: str
    folder: list[str] = field(default_factory=list)

    def call(self, verb: str) -> Call:
        """A verb about the attempt, begun there. Raises NotFound, NodeAway, NoServe."""
        way = self.way()
        answer = partial(prove, self.clone, self.build.request, self.claim) if self.build.request else None
        for folder in FOLDERS:
            line = node_line(verb, self.claim, folder=folder)
            call = Call(way.argv(line), node=f"{self.agent} at {self.host}", prove=answer)
            try:
                call.greet()
                self.folder[:] = [folder]
                return call
            except BaseException as error:
                call.close()
                if folder == FOLDERS[-1] or not isinstance(error, NoServe) or not error.absent:
                    raise
        raise NotFound("no way to call cit-serve")

    def way(self) -> Connection:
        """The ssh to the node. Raises NotFound if the policy names none."""
        if not self.host:
            raise NotFound(
                f"the policy does not say how to reach {self.agent}", hint="an admin gives agents a 'host' in team.toml"
            )
        way = Ways(self.clone.git_dir).to_node(self.host, self.clone.key)
        if way is None:
            raise NotFound(f"{self.host!r}, the host of {self.agent}, is none that ssh reaches", hint="USER@HOST")
        return way

    def fetch(self, target: Path, files: Sequence[Input], told: Callable[[int], object] = lambda more: None) -> None:
        """Copies kept files below `target`, each verified; `told` hears how many bytes came.

        What came before a break is not asked for again, now or the next time. Raises NodeAway, NotFound, Refused.
        """
        left = list(files)
        while left:
            came = 0

            def hear(more: int) -> None:
                nonlocal came
                came += more
                told(more)

            try:
                with self.call("artifact") as call:
                    call.hear(Done)
                    while left:
                        with landing(target, left[0], resume=True) as file:
                            _take(call, left[0], file, hear)
                        left.pop(0)
            except NodeAway:
                if not came:
                    raise


def far(clone: Clone, policy: PolicyView, build: Build, claim: str = "") -> Far:
    """Where the attempt of a claim is, by default the one whose result counts, else the last. Raises NotFound."""
    wanted = claim or (build.result.claim if build.result else "")
    for entry in reversed(build.entries):
        record = entry.link.record
        if record and not entry.void and isinstance(record.body, Claim) and wanted in ("", entry.link.oid):
            agent = policy.team.agent.get(record.head.actor.partition(":")[2])
            host = agent.host if agent and record.head.actor.startswith("agent:") else ""
            return Far(clone, build, entry.link.oid, record.head.actor, host)
    raise NotFound(f"build {build.id} has not been tried yet", hint=f"cit why {build.id}")


def shell_line(there: Far) -> str:
    """The command line that opens a shell in the attempt's workspace, for a shell there or for a bound key."""
    with there.call("workspace"):
        folder = there.folder[-1] if there.folder else ""
    return node_line("shell", there.claim, folder=folder)


def _take(call: Call, wanted: Input, file: Landing, told: Callable[[int], object]) -> None:
    if file.at == wanted.size:
        return  # the check of what is there comes at the end
    call.say(Get(sha256=wanted.sha256, at=file.at))
    content = call.hear(Content)
    if (content.size, content.follow) != (wanted.size, wanted.size - file.at):
        raise Refused(f"artifact {wanted.path!r} of {wanted.label} has {content.size} bytes there, not {wanted.size}")
    while file.at < wanted.size:
        block = call.raw(min(_AT_ONCE, wanted.size - file.at))
        file.write(block)
        told(len(block))
