"""Which executor a build gets: the safest that works, and for somebody else's build never one without a wall."""

from __future__ import annotations

from collections.abc import Mapping

from citgit.errors import Errored
from citgit.interfaces import Executor

PREFERRED = ("bwrap", "process", "ssh")
"""The order for jobs that name no executor."""


def choose(executors: Mapping[str, Executor], wanted: str, *, own: bool) -> str:
    """The name of the executor to use; `wanted` is `place.executor`, "" for the safest.

    `own` says that the build is the node user's own or its group's trusted code. Raises Errored if `wanted` is not
    there, does not work, or is not safe enough, naming the reason of each that was asked.
    """
    reasons = []
    for name in [wanted] if wanted else [name for name in PREFERRED if name in executors]:
        if name not in executors:
            raise Errored(f"no executor '{name}' on this node", hint=f"there are: {', '.join(sorted(executors))}")
        probe = executors[name].probe()
        if probe.ok and (own or probe.isolated):
            return name
        reasons.append(f"{name}: {probe.reason or 'does not isolate the build from its user'}")
    whose = "this build" if own else "another person's build"
    raise Errored(
        f"no executor for {whose}: {'; '.join(reasons) or 'none is configured'}",
        hint="install bubblewrap and allow user namespaces, or build on another node; `cit doctor` explains",
    )
