"""From a worker's settings to the machine where its builds run, if that is another one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from citgit.errors import CitError, Errored, UsageError
from citgit.executors.ssh import NAME, bring_kept, ssh
from citgit.executors.target import FOLDER, Target
from citgit.git.sent import sending
from citgit.interfaces import Executor
from citgit.logs.capture import TOOLS, Capture
from citgit.model.settings import Settings
from citgit.ssh.target import TargetHost
from citgit.workspaces.tools import KNOWN_TOOLS

_TRIES = 3


def target_of(settings: Settings, home: Path) -> Target | None:
    """The target that the settings name; None if builds run here. Raises UsageError."""
    if not settings.target:
        if settings.target_key or settings.target_host_key or settings.target_folder:
            raise UsageError("a target's key or folder, but no target", hint="name its login: target = 'USER@HOST'")
        return None
    if settings.builders:
        raise UsageError("builders and a target", hint="builders are users of this machine: name one or the other")
    key = str(Path(settings.target_key).expanduser()) if settings.target_key else ""
    host = TargetHost(settings.target, home / "target", key=key, host_key=settings.target_host_key)
    return Target(host, settings.target_folder or FOLDER, KNOWN_TOOLS)


def target_executors(target: Target) -> dict[str, Executor]:
    """The executors of an agent whose builds run at a target: that one."""
    return {NAME: ssh(target, TOOLS, sending, Capture())}


def bring(target: Target, workspace: Path, folder: Path, patterns: Sequence[str]) -> str:
    """Brings what the build keeps into `folder`; why it could not be had, "" if it could."""
    fault: CitError = Errored("")
    for _ in range(_TRIES):
        try:
            bring_kept(target, workspace.parent.name, folder, patterns)
        except CitError as error:
            fault = error
        else:
            return ""
    return f"cannot bring its files from {target.host.name!r}: {fault.message}"
