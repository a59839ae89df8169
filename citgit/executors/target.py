"""A target: a machine that has only sshd, git and a POSIX shell, and builds for a worker that is elsewhere.

All that happens there is done by `cit-target`, a file of POSIX sh that is put there first; its words and paths are this
machine's. What the target says is looked at as what anybody else says: it can fail a build, and nothing more.
"""

from __future__ import annotations

import hashlib
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from citgit.errors import Errored, RemoteAway
from citgit.model.names import is_build_id, is_oid
from citgit.model.pattern import pattern
from citgit.model.plan import Machine, Probe, Room

SHIM = Path(__file__).with_name("cit-target")
FOLDER = ".cit-target"
"""Where everything goes at the target, below the home directory of the account, unless its owner says otherwise."""

CALL_S = 30
_TOOLS_S = 120
_WELL_S, _ILL_S, _KEPT_S = 60.0, 10.0, 3600.0
_SSH_FAILED = 255
_PLACE = pattern(r"/[A-Za-z0-9/_.+-]{0,200}")
_FOLDER = pattern(r"[A-Za-z0-9/_.+-]{1,200}")
_VERSION = pattern(r"[0-9]+(?:\.[0-9]+)+")
_PATH = pattern(r"[!-~ ]{1,4096}")


class Host(Protocol):
    """How a target is reached."""

    name: str

    def argv(self, command: str, *, master: bool = True) -> list[str]:
        """The command line that runs `command` there; without `master` it never keeps a connection for others."""

    def git_ssh(self) -> str:
        """What git is told to reach it by."""

    def repository(self, path: str) -> str:
        """The address of a repository at an absolute path there."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the target said of itself: `base` is the absolute path of its folder, `why` what it lacks ("": nothing)."""

    base: str = ""
    user: str = ""
    path: str = ""
    machine: Machine = field(default_factory=lambda: Machine(host="", os="", arch=""))
    why: str = ""


@dataclass(slots=True)
class Target:
    """One target. `known` are the tools that its advert may name."""

    host: Host
    folder: str
    known: tuple[str, ...]
    clock: Callable[[], float] = time.monotonic
    _facts: tuple[float, Facts] | None = None
    _tools: dict[str, tuple[float, str | None]] = field(default_factory=dict)

    def probe(self) -> Probe:
        """Whether it can build, and if not, what it lacks. What it said a moment ago counts."""
        facts = self.facts()
        return Probe(ok=not facts.why, reason=facts.why)

    def facts(self) -> Facts:
        """What it says of itself, a minute old at most; ten seconds where it does not work."""
        now = self.clock()
        if self._facts is None or now - self._facts[0] > (_ILL_S if self._facts[1].why else _WELL_S):
            try:
                facts = self._ask()
            except (Errored, RemoteAway) as fault:
                facts = Facts(why=f"target '{self.host.name}': {fault.message}"[:400])
            self._facts = (self.clock(), facts)
        return self._facts[1]

    def _ask(self) -> Facts:
        if not _FOLDER.fullmatch(self.folder):
            raise Errored(f"not a folder for a target: {self.folder[:80]!a}", hint="use letters, digits, '/', '.', '-'")
        text = SHIM.read_bytes()
        # nothing of ours is there yet
        said = self.call(["sh", "-s", "probe", self.folder], text).decode("utf-8", "replace")
        found: dict[str, list[str]] = {}
        for line in said.splitlines():
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value.strip())
        one = {name: values[0] for name, values in found.items()}
        base = one.get("base", "")
        if not _PLACE.fullmatch(base):
            raise Errored(f"it does not say where its folder is, or that has an odd name: {base[:80]!a}")
        if lacking := found.get("lacks"):
            raise Errored(f"it lacks {', '.join(lacking)}"[:300], hint="install that there")
        if self._name(text) not in found.get("has", []):
            self._install(base, text)
        machine = Machine(
            host=one.get("host", "")[:200], os=one.get("os", "").lower()[:40], arch=one.get("arch", "")[:40],
            cpu=_number(one, "cpu") or 1, memory=_number(one, "memory") << 10, disk=_number(one, "disk") << 10,
        )  # fmt: skip
        path = one.get("path", "")
        return Facts(base, one.get("user", "")[:64], path if _PATH.fullmatch(path) else "/usr/bin:/bin", machine)

    def _install(self, base: str, text: bytes) -> None:
        place = f"{base}/{self._name(text)}"
        self.call(["sh", "-c", 'cat >"$1.$$" && mv -f "$1.$$" "$1"', "sh", place], text)
        self.call(["sh", place, "mirror", base])

    def _name(self, text: bytes) -> str:
        return f"cit-target.{hashlib.sha256(text).hexdigest()[:16]}"

    def machine(self, tools: Iterable[str] | None) -> Machine:
        """What it has, with those of the `tools` (None: all that are known) that are there."""
        facts = self.facts()
        wanted = list(self.known if tools is None else tools)
        now = self.clock()
        asked = [name for name in wanted if name not in self._tools or now - self._tools[name][0] > _KEPT_S]
        asked = [name for name in asked if not name.startswith("-")]
        if asked and not facts.why:
            try:
                said = self.words("tools", *asked, seconds=_TOOLS_S).decode("utf-8", "replace")
            except (Errored, RemoteAway):
                said = ""
            versions = {name: _version(line) for name, _, line in (one.partition("=") for one in said.splitlines())}
            self._tools.update({name: (now, versions.get(name)) for name in asked})
        here = {name: version for name in wanted if (version := self._tools.get(name, (0, None))[1]) is not None}
        return Machine(
            host=facts.machine.host, os=facts.machine.os, arch=facts.machine.arch, cpu=facts.machine.cpu,
            memory=facts.machine.memory, disk=facts.machine.disk, tools=here,
        )  # fmt: skip

    def room(self, claim: str, name: str) -> Room:
        """Where the attempt may run; its directory there is `name`. Raises Errored."""
        facts = self.facts()
        if facts.why:
            raise Errored(facts.why)
        if not is_oid(claim) or not is_build_id(name.partition(".")[0]):
            raise Errored(f"not the name of a workspace: {name[:60]!a}")
        place = PurePosixPath(facts.base, "rooms", name)
        return Room(
            builder=self.host.name, user=facts.user, place=str(place), workspace=str(place / "work"),
            home=str(place / "home"), temporary=str(place / "tmp"), log=str(place / "log"), tools=str(place / "tools"),
            away=True, path=facts.path, cpus=facts.machine.cpu,
        )  # fmt: skip

    def line(self, verb: str, *words: str, master: bool = True) -> list[str]:
        """The command line, here, that has `cit-target` do something there. Raises Errored."""
        return self.host.argv(_line(self._words(verb, *words)), master=master)

    def _words(self, verb: str, *words: str) -> list[str]:
        facts = self.facts()
        if facts.why:
            raise Errored(facts.why)
        return ["sh", f"{facts.base}/{self._name(SHIM.read_bytes())}", verb, facts.base, *words]

    def words(self, verb: str, *words: str, given: bytes = b"", seconds: float = CALL_S) -> bytes:
        """What `cit-target` says there. Raises Errored, RemoteAway."""
        return self.call(self._words(verb, *words), given, seconds)

    def call(self, words: list[str], given: bytes = b"", seconds: float = CALL_S) -> bytes:
        """What a command line says there. Raises Errored, RemoteAway."""
        argv = self.host.argv(_line(words))
        try:
            done = subprocess.run(argv, input=given, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise RemoteAway(f"no answer within {seconds:g} s", hint=f"try: ssh {self.host.name} true") from None
        except OSError as fault:
            raise Errored(f"cannot start ssh: {fault.strerror}", hint="install an ssh client") from fault
        said = [" ".join(line.split()) for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        if done.returncode == _SSH_FAILED:
            why = said[-1][:300] if said else "ssh says nothing"
            raise RemoteAway(f"cannot log in: {why}", hint=f"try: ssh {self.host.name} true")
        if done.returncode:
            why = "; ".join(said)[-300:] or f"status {done.returncode}"
            raise Errored(why, hint=f"log in and look: ssh {self.host.name}")
        return done.stdout


def _line(words: list[str]) -> str:
    """A command line for the account's shell, whichever that is: quoted here and nowhere else."""
    return f"exec {shlex.join(words)}"


def _number(said: Mapping[str, str], name: str) -> int:
    text = said.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _version(line: str) -> str:
    found = _VERSION.search(line[:400])
    return found[0] if found else ""
