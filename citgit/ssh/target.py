"""How a machine that builds for a worker is reached: its login, its key, one connection for all that happens there."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from citgit.errors import UsageError
from citgit.model.pattern import pattern
from citgit.ssh.address import Address, login_address
from citgit.ssh.connection import Chosen, Connection

_ALIAS = "cit-target"
_HOST_KEY = pattern(r"[a-z0-9@.-]{1,64} [A-Za-z0-9+/=]{1,4096}")
_CLOSED = (
    "-o", "ConnectTimeout=10", "-o", "ForwardAgent=no", "-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no",
    "-o", "EscapeChar=none", "-o", "LogLevel=ERROR",
)  # fmt: skip
# Whoever starts a master keeps it: what a build starts is ended with the build.
_NO_MASTER = ("-o", "ControlMaster=no")


class TargetHost:
    """A login `[USER@]HOST[:PORT]`, with the key file `key` and that machine's public key `host_key` if they are given.

    `folder` is where the host's key is noted. Raises UsageError.
    """

    def __init__(self, login: str, folder: Path, *, key: str = "", host_key: str = "") -> None:
        found = login_address(login)
        if found is None:
            raise UsageError(f"not a login: {login[:100]!a}", hint="name the target as for ssh: [USER@]HOST[:PORT]")
        self.name = login
        self.address: Address = found
        options = list(_CLOSED)
        if key:
            options += ["-i", key, "-o", "IdentitiesOnly=yes"]
        if host_key:
            options += _known(folder, " ".join(host_key.split()[:2]))
        self._connection = Connection(found, Chosen(), options=options)

    def argv(self, command: str, *, master: bool = True) -> list[str]:
        """The command line that runs `command` there, over the shared connection; without `master` never making it."""
        program, *rest = self._connection.argv(command)
        return [program, *(() if master else _NO_MASTER), *rest]

    def git_ssh(self) -> str:
        """What git is told to reach it by."""
        return shlex.join(self.argv("", master=False)[: -len(self.address.arguments) - 1])

    def repository(self, path: str) -> str:
        """The address of a repository at an absolute path there."""
        return f"{self.address.url}{path}"


def _known(folder: Path, host_key: str) -> Sequence[str]:
    if not _HOST_KEY.fullmatch(host_key):
        raise UsageError(f"not a host's key: {host_key[:80]!a}", hint="give a line of ssh-keyscan: ssh-ed25519 AAAA…")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # a connection that is shared is for who trusts the same key: its name is made of these options
    file = folder / f"known_hosts.{hashlib.sha256(host_key.encode()).hexdigest()[:16]}"
    if not file.exists():
        # others may be reading it, or making it too
        scratch = file.with_name(f"{file.name}.{os.getpid()}")
        scratch.write_text(f"{_ALIAS} {host_key}\n")
        scratch.replace(file)
    quoted = str(file).replace("%", "%%")
    return (
        "-o", f"HostKeyAlias={_ALIAS}", "-o", f'UserKnownHostsFile="{quoted}"', "-o", "GlobalKnownHostsFile=/dev/null",
        "-o", "StrictHostKeyChecking=yes",
    )  # fmt: skip
