"""A machine that somebody can log in at: programs run there, by words of ours alone, with their answers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from citgit.errors import Errored, RemoteAway, UsageError
from citgit.ssh.address import Address, address_of
from citgit.ssh.command import Said, call
from citgit.ssh.connection import Chosen, Connection

ROOT = ".local/share/citgit"
"""Where an installation is, below the home directory, whatever the variables of the account say."""

PROGRAMS = f"{ROOT}/current/bin"

_CALL_S = 60.0
_ANSWER = 1 << 24


def as_user(user: str, python: str, words: Iterable[str]) -> str:
    """A command line that runs `words` as another user of the machine, from their home; only root's will work."""
    code = (
        "import os,pwd,sys;a=pwd.getpwnam(sys.argv[1]);os.initgroups(a.pw_name,a.pw_gid);os.setgid(a.pw_gid);"
        "os.setuid(a.pw_uid);os.chdir(a.pw_dir);"
        "os.environ.update(HOME=a.pw_dir,USER=a.pw_name,LOGNAME=a.pw_name);os.execv(sys.argv[2],sys.argv[2:])"
    )
    return shlex.join([python, "-I", "-c", code, user, *words])


class Login:
    """A login at a machine, `[USER@]HOST[:PORT]`; raises UsageError if that is none.

    `may_ask`: the person may be asked for passwords and about host keys. `root`: everything is done as root, by
    the account itself or through sudo.
    """

    def __init__(self, host: str, *, may_ask: bool = False, root: bool = False) -> None:
        found = address_of(host)
        if found is None:
            raise UsageError(f"not a host to log in at: {host[:100]!r}", hint="name it as for ssh: [USER@]HOST[:PORT]")
        self.address: Address = found
        self.host = host
        self._connection = Connection(found, Chosen())
        self._may_ask = may_ask
        self._root = root

    def run(self, command: str, given: Iterable[bytes] = (), *, seconds: float = _CALL_S, plain: bool = False) -> Said:
        """Runs a command line, a `plain` one as it is in a POSIX shell. Raises RemoteAway if nobody answers."""
        # every login shell understands this much; what is to be done comes on stdin or as plain quoted words
        sudo = "sudo -n " if self._root and not self.address.host.startswith("root@") else ""
        line = command if plain else f"exec {sudo}{command}"
        return call(self._connection.argv(line, may_ask=self._may_ask), given, host=self.host, seconds=seconds)

    def script(self, text: str, *arguments: str, seconds: float = _CALL_S) -> Said:
        """Runs a script of POSIX sh."""
        return self.run(shlex.join(["sh", "-s", "--", *arguments]), [text.encode()], seconds=seconds)

    def answer(self, command: str, given: Iterable[bytes] = (), *, seconds: float = _CALL_S) -> dict[str, Any]:
        """The JSON document that a program of ours prints there. Raises Errored with its words if it failed."""
        return answer_of(self.run(command, given, seconds=seconds), self.host)


def answer_of(said: Said, host: str) -> dict[str, Any]:
    """The document in what a program printed. Raises Errored."""
    lines = [line for line in said.out[:_ANSWER].splitlines() if line.startswith(b"{")]
    try:
        document = json.loads(lines[-1]) if lines else None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        words = said.err[-400:] or said.out[-400:].decode("utf-8", "replace").strip() or f"status {said.status}"
        raise Errored(f"{host} did not do it: {words}", hint=f"log in and look: ssh {host}")
    if error := document.get("error"):
        raise Errored(f"{host}: {error}", hint=str(document.get("hint") or ""))
    return document


def lines_of(said: Said) -> Iterator[tuple[str, str]]:
    """The KEY=VALUE lines that a script printed."""
    for line in said.out.decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and key.isidentifier():
            yield key, value.strip()


__all__ = ["PROGRAMS", "Login", "RemoteAway", "answer_of", "as_user", "lines_of"]
