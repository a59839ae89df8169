"""The executor `bwrap`: the command in namespaces of its own, seeing the system read-only and of the user nothing.

Hidden: home directories, the worker's state, other processes, /run with its sockets, on demand the network.
Writable: the workspace, the attempt's HOME and TMPDIR. Not a wall against kernel bugs, nor against using up
processor and memory. With the network, abstract unix sockets of the machine are within reach too.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from citgit.executors import usage
from citgit.executors.descendants import MARKER
from citgit.executors.local import LocalExecutor, Wrapped, Wrapper
from citgit.executors.log_writer import LogWriter
from citgit.model.plan import Plan, Probe

_PROBE_S = 20
_HIDDEN = ("/home", "/root", "/run", "/tmp", "/var/tmp", "/media", "/mnt")
_SHIM_ENV = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_TIMES_FD, _ARGUMENTS_FD, _STATUS_FD = 5, 6, 7
# The sandbox has no finer status for a program that cannot be run than the shell's.
_INNER = ("/bin/sh", "-c", 'exec "$@"', "sh")
# bwrap leaves without waiting for the namespace it made, so what that used of the processor is told from inside.
_TIMED = ("/bin/sh", "-c", f'"$@" {_TIMES_FD}>&-; status=$?; times >&{_TIMES_FD}; exit $status', "sh")


def bwrap(logs: LogWriter, hidden: Sequence[Path] = ()) -> LocalExecutor:
    """The executor; `hidden` are further directories and files that no build may see (the worker's state and keys)."""
    return LocalExecutor(wrapper(hidden), logs)


def wrapper(hidden: Sequence[Path]) -> Wrapper:
    """What is particular to it."""
    sandbox = _Sandbox(tuple(hidden))
    # bwrap itself, the first process of the new PID namespace and the shell that tells the times are above the command.
    return Wrapper("bwrap", sandbox.probe, sandbox.wrap, _explain, spared=3, sees=sandbox.sees)


@dataclass(slots=True)
class _Sandbox:
    hidden: tuple[Path, ...]
    works: list[Probe] = field(default_factory=list)

    def probe(self) -> Probe:
        """Runs a program through all of the flags; what works once is not asked again."""
        if not self.works:
            probe = self._try()
            if not probe.ok:
                return probe
            self.works.append(probe)
        return self.works[0]

    def _try(self) -> Probe:
        program = shutil.which("bwrap")
        if program is None:
            return Probe(ok=False, reason="no program 'bwrap' on PATH; install bubblewrap")
        with tempfile.TemporaryDirectory(prefix="cit-probe-") as directory:
            plan = Plan(
                build="probe", claim="probe", directory=f"{directory}/attempt", workspace=directory, cwd=directory,
                command=("true",), env={"PATH": "/usr/bin:/bin"}, seconds=_PROBE_S, output=0, network=False,
            )  # fmt: skip
            os.mkdir(plan.directory)
            arguments = [program, *self.arguments(plan), "--", *_INNER, "true"]
            try:
                done = subprocess.run(arguments, capture_output=True, timeout=_PROBE_S, env=_SHIM_ENV, check=False)
            except (OSError, subprocess.TimeoutExpired) as fault:
                return Probe(ok=False, reason=f"bwrap does not run: {fault}")
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
            return Probe(ok=False, reason=f"bwrap cannot make a sandbox here: {words}")
        return Probe(ok=True, isolated=True)

    def wrap(self, plan: Plan, program: str) -> Wrapped:
        """bwrap's command line. Its options go through a file: the environment in them may hold secrets."""
        options = Path(plan.directory) / "bwrap.options"
        options.touch(mode=0o600)
        options.write_bytes(b"".join(os.fsencode(one) + b"\0" for one in self.arguments(plan)))
        command = (
            shutil.which("bwrap") or "bwrap", "--args", str(_ARGUMENTS_FD), "--json-status-fd", str(_STATUS_FD),
            "--", *_TIMED, program, *plan.command[1:],
        )  # fmt: skip
        opened = {
            _TIMES_FD: (Path(plan.directory) / usage.INNER, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
            _ARGUMENTS_FD: (options, os.O_RDONLY),
            _STATUS_FD: (Path(plan.directory) / "bwrap.status", os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        }
        # bwrap itself is outside of the sandbox: nothing that the job sets (LD_PRELOAD …) may reach it.
        return Wrapped("/", command, {**_SHIM_ENV, MARKER: plan.claim}, opened)

    def arguments(self, plan: Plan) -> list[str]:
        """Every option of bwrap for `plan`; later mounts lie over earlier ones."""
        hidden = self._covered(plan)
        writable = [plan.workspace, *(plan.env[name] for name in ("HOME", "TMPDIR") if name in plan.env)]
        parts = Path(plan.directory) / "log" / "parts"
        if parts.is_dir():
            # the parts of the log are the build's to write, the log of the command itself is not
            writable.append(str(parts))
        given = ["--unshare-all", *(["--share-net"] if plan.network else [])]
        given += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        given += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        for path in hidden:
            given += ["--tmpfs", path]
        for path in (os.path.realpath(one) for one in self.hidden if one.is_file()):
            if not _is_below(path, hidden):
                given += ["--ro-bind", "/dev/null", path]
        if plan.env.get("TMPDIR"):
            given += ["--bind", os.path.realpath(plan.env["TMPDIR"]), "/tmp"]
        for path in _resolver() if plan.network else ():
            given += ["--ro-bind", path, path]
        for path in map(os.path.realpath, writable):
            given += ["--bind", path, path]
        for path in map(os.path.realpath, plan.read_only):
            given += ["--ro-bind", path, path]
        # What was laid over must not take files either: they would fill the machine's memory.
        for path in hidden:
            if not (path == "/tmp" and plan.env.get("TMPDIR")):
                given += ["--remount-ro", path]
        given += ["--clearenv"]
        for name, value in {**plan.env, MARKER: plan.claim}.items():
            given += ["--setenv", name, value]
        return [*given, "--chdir", os.path.realpath(plan.cwd)]

    def sees(self, plan: Plan, path: str) -> bool:
        """Whether a file that links may lead to is there inside."""
        real = os.path.realpath(path)
        shown = map(os.path.realpath, (plan.workspace, *plan.read_only))
        return _is_below(real, shown) or not _is_below(real, self._covered(plan))

    def _covered(self, plan: Plan) -> list[str]:
        """The directories over which something empty is laid."""
        return _outermost([*_HIDDEN, *_homes(), *map(str, self.hidden), plan.directory])


def _homes() -> list[str]:
    found = [os.environ.get("HOME", ""), pwd.getpwuid(os.getuid()).pw_dir]
    return [path for path in found if os.path.isabs(path)]


def _outermost(paths: Sequence[str]) -> list[str]:
    """The directories among `paths` that exist, resolved, without those that lie in another; never "/"."""
    real = sorted({os.path.realpath(path) for path in paths if os.path.isdir(path)} - {"/"})
    kept: list[str] = []
    for path in real:
        if not _is_below(path, kept):
            kept.append(path)
    return kept


def _is_below(path: str, folders: Iterable[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def _resolver() -> list[str]:
    """The file that /etc/resolv.conf leads to, if it is in /run: names must be found without the rest of /run."""
    real = os.path.realpath("/etc/resolv.conf")
    return [real] if real.startswith("/run/") and os.path.isfile(real) else []


def _explain(plan: Plan, status: int) -> str:
    """bwrap tells an exit code only after the sandbox was made: without one, its own last words are the reason."""
    if status == 0 or status > 128:
        return ""
    for line in (Path(plan.directory) / "bwrap.status").read_bytes().splitlines():
        try:
            if "exit-code" in msgspec.json.decode(line, type=dict[str, object]):
                return ""
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # the build can write there
    with open(Path(plan.directory) / "log" / "err", "rb") as file:
        words = file.read(4096).decode(errors="replace").strip()
    return f"cannot make the sandbox: {words or f'bwrap ended with status {status}'}"
