"""How the ssh program is called for one host: as the user has set it up, else over one connection that is shared.

A new connection costs a fifth of a second and more, a further session of an open one two round trips.
So, unless the user chose an ssh command or shares connections already, the first call leaves a master behind that
serves the next ones and ends a minute after the last; the user's configuration of ssh counts and is not touched.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import socket
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from citgit.model.pattern import pattern
from citgit.ssh.address import Address

_PERSIST = 60
"""Seconds that a master outlives its last session."""

# Sandboxed builds see neither of them: whoever reaches a master's socket is logged in at the host.
_RUN, _TMP = "/run/", "/tmp"

# A network that went away, before or after the connection was made, must not keep everybody waiting.
_PATIENCE = ("-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3")
_HURRY = ("-o", "ConnectTimeout=5", "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=2")

_STUCK = 3.0
"""Seconds within which a living master greets; it does so in less than one millisecond."""

# A socket's path holds about 100 bytes, of which ssh wants 17 for a temporary name; a name with other characters
# would have to be quoted for ssh's own parser.
_LONGEST = 85
_PLAIN = pattern(r"[A-Za-z0-9/_.+-]+")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the user set for git: a command line (GIT_SSH_COMMAND, core.sshCommand), else a program (GIT_SSH)."""

    command: str = ""
    program: str = ""


class Connection:
    """The way to the host of `address`; `runtime` is where sockets go (None: found when first needed).

    `key` is tried before the keys that ssh would try, unless the user chose how ssh is called; `hurry` is for hosts
    that others stand in for, should they be away. `options` are given to ssh before all others, which they overrule.
    """

    def __init__(
        self, address: Address, chosen: Chosen, *, runtime: Path | None = None, key: Path | None = None,
        hurry: bool = False, options: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.address = address
        self._chosen = chosen
        self._runtime = runtime
        self._key = key
        self._extra = tuple(options)
        self._patience = _HURRY if hurry else _PATIENCE
        self._settings: dict[str, list[str]] | None = None

    def environment(self) -> Mapping[str, str]:
        """What git needs to be told: nothing if the user chose."""
        options = self._options()
        return {"GIT_SSH_COMMAND": shlex.join(["ssh", *self._extra, *options])} if options else {}

    def argv(self, command: str, *, may_ask: bool = False, terminal: bool = False) -> list[str]:
        """The command line that runs `command` at the host, asking nobody anything unless it may."""
        ask = (*(() if may_ask else ("-o", "BatchMode=yes")), "-t" if terminal else "-T", *self._patience)
        if self._chosen.command:
            # git runs the user's own setting through a shell, so it may hold anything that a shell understands
            line = f'{self._chosen.command} "$@"'
            return ["sh", "-c", line, self._chosen.command, *ask, *self.address.arguments, command]
        program = self._chosen.program or "ssh"
        return [program, *self._extra, *ask, *self._keys(), *self._options(), *self.address.arguments, command]

    def _keys(self) -> tuple[str, ...]:
        """Options for the key and, after it, those that would have been tried without it."""
        if self._key is None or self._chosen.program:
            return ()
        usual = [os.path.expanduser(one) for one in self._asked().get("identityfile", [])]
        files = [str(self._key), *(one for one in usual if os.path.exists(one))]
        return tuple(part for one in files for part in ("-i", one))

    def _options(self) -> tuple[str, ...]:
        shares = not (self._chosen.command or self._chosen.program) and self._may_share()
        folder = (self._runtime or _runtime_directory()) if shares else None
        if folder is None:
            return ()
        path = self._socket(folder)
        if not _PLAIN.fullmatch(str(path)) or len(str(path)) > _LONGEST:
            return ()
        if not _greets(path) and not _can_bind(path):
            return ()
        return (
            "-o", "ControlMaster=auto", "-o", f"ControlPath={path}", "-o", f"ControlPersist={_PERSIST}",
            *self._patience,
        )  # fmt: skip

    def _socket(self, folder: Path) -> Path:
        """One per account, host, port, key and agent: whoever uses other keys gets another connection."""
        who = "\0".join([self.address.host, self.address.port, os.environ.get("SSH_AUTH_SOCK", "")])
        if self._key:
            who += f"\0{self._key}"
        who += "".join(f"\0{one}" for one in self._extra)
        return folder / hashlib.sha256(who.encode("utf-8", "surrogateescape")).hexdigest()[:24]

    def _may_share(self) -> bool:
        """Whether ssh is there, can share, and the user does not do it in their own way."""
        settings = self._asked()
        return bool(settings) and settings.get("controlpath", ["none"])[-1] == "none"

    def _asked(self) -> dict[str, list[str]]:
        """What the user's configuration of ssh says about this host; empty if there is no ssh that tells."""
        if self._settings is None:
            self._settings = {}
            if os.name == "posix" and shutil.which("ssh"):
                for line in self._shown().split("\n"):
                    name, _, value = line.partition(" ")
                    self._settings.setdefault(name, []).append(value)
        return self._settings

    def _shown(self) -> str:
        argv = ["ssh", "-G", *self._extra, *self.address.arguments]
        try:
            shown = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return "" if shown.returncode else shown.stdout.decode(errors="replace")


def _runtime_directory() -> Path | None:
    """A directory for sockets that only this user can enter; None if there can be none."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    own = Path(given) / "citgit" if given.startswith(_RUN) else None
    for place in (own, Path(_TMP, f"citgit-{os.getuid()}")):
        if place is None:
            continue
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            found = place.lstat()
        except OSError:
            continue
        # in a shared /tmp somebody else may have made it first
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return place
    return None


def _greets(path: Path) -> bool:
    """Whether a master serves the socket; that of a dead or stuck one is taken out of the way."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_STUCK)
        try:
            probe.connect(str(path))
            if probe.recv(4):  # a master greets whoever connects
                return True
        except OSError:
            pass
    path.unlink(missing_ok=True)
    return False


def _can_bind(path: Path) -> bool:
    """Whether ssh will be able to make the socket: it would give up the whole connection if it is not."""
    trial = path.with_name(f".{os.getpid()}-{path.name}")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(trial))
        except OSError:
            return False
        trial.unlink(missing_ok=True)
    return True
