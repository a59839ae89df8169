"""The executor `process`: the command runs as the worker's own user, with nothing between it and the machine.

For one's own builds and those of people trusted like oneself: it sees the user's files and keys.
"""

from __future__ import annotations

from citgit.executors.descendants import MARKER
from citgit.executors.local import LocalExecutor, Wrapped, Wrapper
from citgit.executors.log_writer import LogWriter
from citgit.model.plan import Plan, Probe


def process(logs: LogWriter) -> LocalExecutor:
    """The executor; it works wherever there is a POSIX shell."""
    return LocalExecutor(PROCESS, logs)


def _wrap(plan: Plan, program: str) -> Wrapped:
    return Wrapped(plan.cwd, (program, *plan.command[1:]), {**plan.env, MARKER: plan.claim})


PROCESS = Wrapper("process", lambda: Probe(ok=True), _wrap, lambda plan, status: "")
"""What is particular to it: nothing."""
