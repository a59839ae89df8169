"""Starts the shim: a POSIX shell in a session of its own, so that no interpreter waits beside each build."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from citgit.executors.attempt import cannot
from citgit.executors.masking import VALUES_FD
from citgit.model.plan import Plan

SHIM = Path(__file__).with_name("shim.sh")
_MASK = str(Path(__file__).with_name("masking.py"))
_LOCK_FD = 9
# Python ignores some signals, and ignored signals stay ignored: a build expects the defaults.
_DEFAULT = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}


def spawn(
    directory: Path,
    cwd: str,
    command: Sequence[str],
    env: Mapping[str, str],
    lock: int,
    opened: Mapping[int, tuple[Path, int]] | None = None,
    secrets: Path | None = None,
) -> int:
    """Starts `command` in `cwd` under the shim, its output going to `directory/log`; the shim's pid.

    `lock` is the locked descriptor of `alive`. `opened` are further files (path, flags) for descriptors 3 to 7.
    `secrets` holds values that are masked in the output, for which Python runs in the place of `cat`.
    Raises Errored or NodeFull.
    """
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int] | tuple[int, int]] = [
        # First, because the lock's descriptor may be one of those that are taken below.
        (os.POSIX_SPAWN_DUP2, lock, _LOCK_FD),
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        # The shell's own remarks ("Killed") are nobody's output.
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
    ]
    # What the worker itself inherited must not reach a build: a pipe that stays open can hang whoever reads it.
    for fd in _inheritable():
        actions.insert(0, (os.POSIX_SPAWN_CLOSE, fd))
    opened = dict(opened or {}) | ({VALUES_FD: (secrets, os.O_RDONLY)} if secrets else {})
    for number, (path, flags) in opened.items():
        actions.append((os.POSIX_SPAWN_OPEN, number, str(path), flags, 0o600))
    try:
        for pipe in pipes(directory):
            try:
                os.mkfifo(pipe, 0o600)
            except FileExistsError:
                os.unlink(pipe)  # a worker that died before it started the shim may have left it
                os.mkfifo(pipe, 0o600)
        return os.posix_spawn(
            "/bin/sh",
            ["sh", str(SHIM), str(directory), *((sys.executable, _MASK) if secrets else (_cat(), "")), cwd, *command],
            env,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_DEFAULT,
        )
    except (OSError, ValueError) as fault:
        fault = fault if isinstance(fault, OSError) else OSError(0, str(fault))
        raise cannot(f"start '{command[0]}'", fault) from fault


def pipes(directory: Path) -> tuple[Path, Path]:
    """The pipes that are the command's stdout and stderr."""
    return directory / "out.pipe", directory / "err.pipe"


@functools.cache
def _cat() -> str:
    # Not by the job's PATH, which need not have it.
    return shutil.which("cat", path="/bin:/usr/bin") or "cat"


def _inheritable() -> list[int]:
    found = []
    for name in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def resolve(plan: Plan, sees: Callable[[str], bool]) -> tuple[str, str]:
    """The absolute path of the plan's program, or "" and why it cannot run; `sees` tells what the build can reach."""
    if not os.path.isdir(plan.cwd):
        return "", no_folder(plan.cwd)
    name, path = plan.command[0] if plan.command else "", plan.env.get("PATH", "")
    if "/" in name:
        found = os.path.normpath(os.path.join(plan.cwd, name))
        if not os.path.isfile(found):
            return "", no_file(name, plan.cwd)
        return (os.path.join(plan.cwd, name), "") if os.access(found, os.X_OK) else ("", not_executable(name))
    hidden = ""
    for folder in path.split(os.pathsep):
        # An empty or relative entry would mean the worker's directory, not the build's.
        program = f"{folder}/{name}"
        if os.path.isabs(folder) and os.access(program, os.X_OK) and os.path.isfile(program):
            if sees(program):
                return program, ""
            hidden = hidden or program
    if hidden:
        return "", (
            f"cannot run '{name}': the executor {plan.executor} hides '{hidden}' from builds; "
            'install it for the whole system, or let the job say place.executor = "process"'
        )
    return "", no_program(name, path)


def no_folder(cwd: str) -> str:
    """Why a command cannot start in a directory."""
    return f"cannot start in '{cwd}': no such directory in the checkout; mend the job's `directory`"


def no_file(name: str, cwd: str) -> str:
    """Why a program that is named by a path cannot be run."""
    return f"cannot run '{name}': no such file in '{cwd}'; is it in the checkout, at this path?"


def not_executable(name: str) -> str:
    """Why a file cannot be run."""
    return f"cannot run '{name}': it is not executable; `git update-index --chmod=+x` mends it"


def no_program(name: str, path: str) -> str:
    """Why a program that is named without a path cannot be run."""
    return (
        f"cannot run '{name}': not found in PATH ({path}); "
        "install it on this node, or name it in requires.tools so that nodes without it are passed over"
    )
