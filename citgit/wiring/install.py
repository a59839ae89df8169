"""From a login at a machine to an installation there: look, send the wheels, try them, switch, set an agent up."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citgit.errors import Errored, Unsupported
from citgit.model.node import Facts, Platform
from citgit.nodes import wheels
from citgit.nodes.wheels import Wheel
from citgit.rules.wheels import download_tags, fits
from citgit.ssh.address import address_of
from citgit.ssh.login import PROGRAMS, Login, as_user, lines_of
from citgit.wiring.shipped import SHIPPED

__all__ = ["Installed", "Login", "Node", "chosen_wheels", "look", "refuse_unfit"]

LEAST_DISK = 300 << 20
"""Bytes that an installation, its key, a mirror and a first workspace need at the very least."""

SERVICE = "citgit"
_SERVICE_HOME = "/var/lib/citgit"
_SYSTEMS = {"Linux": "linux", "Darwin": "macos"}
_INSTALL_S = 600.0
# What must not fail on the first build is tried before the switch.
_TRIAL = (
    "import citgit.programs.cit, citgit.programs.worker, citgit.programs.node_agent, citgit.programs.serve, pygit2, "
    "psutil, cryptography, git, uuid_utils, cronsim, jinja2"
)


def look(login: Login, python: str = "") -> Facts:
    """What the machine offers. Raises RemoteAway, Errored."""
    said = login.script((SHIPPED / "node" / "probe.sh").read_text(), python)
    found: dict[str, str] = {}
    older = []
    for key, value in lines_of(said):
        if key == "older":
            older.append(value)
        else:
            found.setdefault(key, value)
    if "uid" not in found or "os" not in found:
        raise Errored(f"{login.host} has no POSIX shell: {said.err[-300:]}", hint=f"try: ssh {login.host} sh -c id")
    system = _SYSTEMS.get(found["os"], found["os"].lower())
    return Facts(
        user=found.get("user", ""), home=found.get("home", ""), host=found.get("host", ""), os=system,
        arch=found.get("arch", ""), python=found.get("python", ""), older="; ".join(dict.fromkeys(older)),
        platform=_platform(found, system), git=_number(found.get("git", "")),
        disk=int(found["disk"]) * 1024 if found.get("disk", "").isdecimal() else 0, installed=found.get("version", ""),
        manager=found.get("manager", ""), unmanaged=found.get("unmanaged", ""), sandbox=found.get("bwrap", ""),
    )  # fmt: skip


def _platform(found: dict[str, str], system: str) -> Platform | None:
    try:
        (major, minor), libc, version = json.loads(found["platform"])
        numbers = [int(part) for part in re.findall(r"[0-9]+", version)[:2]]
    except (KeyError, ValueError, TypeError):
        return None
    return Platform(
        python=(int(major), int(minor)), os=system, arch=found.get("arch", ""), libc=str(libc),
        libc_version=(numbers[0], numbers[1]) if len(numbers) > 1 else (0, 0),
    )  # fmt: skip


def _number(text: str) -> str:
    found = re.search(r"[0-9]+(?:\.[0-9]+)+", text)
    return found[0] if found else ""


def refuse_unfit(facts: Facts, host: str) -> Platform:
    """What the machine's Python can run. Raises Unsupported or Errored, naming what is missing and the next move."""
    if facts.os not in _SYSTEMS.values():
        raise Unsupported(f"{host} runs {facts.os}", hint="workers run on Linux and macOS")
    if facts.platform is None:
        found = f" (found: {facts.older})" if facts.older else ""
        raise Unsupported(
            f"{host} has no Python 3.11 or later{found}",
            hint="install one there, or name one with --python",
        )
    if not facts.git or tuple(int(part) for part in facts.git.split(".")[:2]) < (2, 39):
        raise Unsupported(
            f"{host} has no git 2.39 or later" + (f" (found: {facts.git})" if facts.git else ""),
            hint="install git there",
        )
    if facts.disk < LEAST_DISK:
        raise Errored(
            f"{host} has {facts.disk >> 20} MiB free in {facts.home!r}",
            hint=f"make room: {LEAST_DISK >> 20} MiB at least",
        )
    return facts.platform


def chosen_wheels(platform: Platform, folder: Path | None, host: str) -> list[Wheel]:
    """A wheel that fits for each thing needed: those of this installation, else those in `folder`.

    Raises Unsupported with the command that fetches what is missing.
    """
    wanted = wheels.needed()
    given = [one for one in (wheels.from_folder(folder) if folder else []) if fits(one.file, platform)]
    missing, mine, theirs = {}, {}, []
    for name, version in wanted.items():
        if fits(wheels.file_name(name), platform):
            mine[name] = version
            continue
        found = [one for one in given if one.project == name]
        theirs += found[-1:]
        if not found and name not in wheels.EXTRA:
            missing[name] = version
    if missing:
        words = [f"{name}=={version}" for name, version in sorted(missing.items())]
        where = str(folder or "wheels")
        command = shlex.join(["pip", "download", "--no-deps", *download_tags(platform), "-d", where, *words])
        python = ".".join(str(part) for part in platform.python)
        raise Unsupported(
            f"{host} is {platform.os}/{platform.arch} with Python {python}, and no wheel here fits it for "
            f"{', '.join(sorted(missing))}",
            hint=f"fetch them, then give --wheels {shlex.quote(where)}:\n  {command}",
        )
    return [*theirs, *wheels.collect(mine)]


@dataclass(frozen=True, slots=True)
class Node:
    """A machine on which citgit is installed, or will be, for the account of the login or for `user` there."""

    login: Login
    facts: Facts
    user: str = ""

    def install(self, sent: Sequence[Wheel], tell: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
        """Puts the wheels there as a version of their own and switches to it; what was done. Raises Errored."""
        digest = hashlib.sha256("\n".join(sorted(f"{one.file} {one.sha256}" for one in sent)).encode()).hexdigest()
        version = f"{wheels.own_version()}-{digest[:12]}"
        # asked first: an upgrade to what is there already sends nothing
        answer = self._installer(version, [])
        if not answer["there"]:
            size = sum(len(one.content) for one in sent)
            tell(f"sending {len(sent)} wheels, {size / 2**20:.1f} MiB")
            answer = self._installer(version, sent) | {"sent": size}
        return answer | {"version": version}

    def _installer(self, version: str, sent: Sequence[Wheel]) -> dict[str, Any]:
        text = (SHIPPED / "node" / "install").read_bytes()
        code = f'import sys;exec(compile(sys.stdin.buffer.read({len(text)}),"install","exec"))'
        plan = {
            "version": version, "user": self.user, "trial": _TRIAL, "scripts": wheels.programs(),
            "wheels": [{"file": one.file, "size": len(one.content), "sha256": one.sha256} for one in sent],
        }  # fmt: skip
        parts = [text, json.dumps(plan).encode() + b"\n", *(one.content for one in sent)]
        return self.login.answer(shlex.join([self.facts.python, "-I", "-c", code]), parts, seconds=_INSTALL_S)

    def call(self, verb: str, agent: str = "", *options: str, given: bytes = b"") -> dict[str, Any]:
        """What `cit-node` does there. Raises Errored with its words."""
        home = _SERVICE_HOME if self.user else self.facts.home
        words = [f"{home}/{PROGRAMS}/cit-node", verb, *([agent] if agent else []), *options]
        command = as_user(self.user, self.facts.python, words) if self.user else shlex.join(words)
        return self.login.answer(command, [given])

    def setup(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Makes the agent's key and settings there, what is not given as it was; its public keys."""
        return self.call("setup", str(settings["agent"]), given=json.dumps(settings).encode())

    def start(self, agent: str) -> dict[str, Any]:
        """Keeps the agent's worker running: by systemd where that lasts, else by a process in the background."""
        if not self.user:
            return self.call("restart" if self._starts_by_itself(agent) else "start", agent, *self._by_systemd())
        if self.facts.manager == "system":
            from citgit.wiring.node import unit

            if not self.call("state", agent)["systemd"]:
                self.call("stop", agent)  # one in the background would keep the unit's from starting
            text = unit(agent, f"{_SERVICE_HOME}/{PROGRAMS}/cit-node", user=self.user)
            name = f"citgit-{agent}.service"
            script = f"cat >/etc/systemd/system/{name} <<'UNIT'\n{text}UNIT\nsystemctl daemon-reload\n"
            said = self.login.script(f"set -e\n{script}systemctl enable {name}\nsystemctl restart {name}\n")
            if said.status:
                raise Errored(f"{self.login.host}: systemd does not take {name}: {said.err[-300:]}")
            return self.call("state", agent)
        return self.call("restart", agent)

    def _by_systemd(self) -> tuple[str, ...]:
        return ("--systemd",) if self.facts.manager == "user" else ()

    def _starts_by_itself(self, agent: str) -> bool:
        return bool(self.call("state", agent)["supervisor"])

    def make_service_user(self) -> None:
        """The account that a site-wide installation runs as. Raises Errored."""
        script = (
            f"id {SERVICE} >/dev/null 2>&1 || useradd --system --create-home --home-dir {_SERVICE_HOME} "
            f"--shell /bin/sh {SERVICE}\n"
        )
        if (said := self.login.script(script)).status:
            raise Errored(
                f"{self.login.host}: cannot make the account {SERVICE!r}: {said.err[-300:]}",
                hint="log in as root, or as somebody whom sudo asks no password",
            )


class Installed:
    """The machine of an agent, as the policy's `host` says how to log in there. Raises UsageError."""

    def __init__(self, host: str) -> None:
        self._login = Login(host)

    def call(self, verb: str, agent: str, *options: str) -> dict[str, Any]:
        """What `cit-node` does there. Raises RemoteAway, Errored with its words."""
        # a session starts in the home directory
        return self._login.answer(shlex.join([f"{PROGRAMS}/cit-node", verb, agent, *options]))


def host_text(host: str) -> str:
    """The login as team.toml has it: as a URL where it has colons, which HOST:PATH could be mistaken for."""
    address = address_of(host)
    return address.url if address and (address.port or ":" in address.host) else host


def by_name(host: str) -> str:
    """The name that an agent on that machine gets unless somebody chooses another."""
    short = re.sub(r"[^a-z0-9._-]", "-", host.lower().split(".")[0]).strip("-._")
    return short[:63] or "node"
