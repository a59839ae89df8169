"""A local executor whose commands run as a builder: as that user, or in a sandbox made by that user."""

from __future__ import annotations

import os
import secrets
import shlex
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from citgit.errors import Errored
from citgit.executors import handover
from citgit.executors.builders import Builders
from citgit.executors.descendants import MARKER
from citgit.executors.leaving import Leaving
from citgit.executors.local import Wrapped, Wrapper
from citgit.model.plan import Plan, Probe

_SCRIPT_FD = 6
_PROBE_S = 30
_PATH = "/usr/bin:/bin"


def as_builder(inner: Wrapper, builders: Builders, *, isolated: bool) -> Wrapper:
    """`inner`, by one of the builders; `isolated` says whether it is a sandbox."""
    walled = _Walled(inner, builders, isolated)
    return Wrapper(
        inner.name, walled.probe, walled.wrap, walled.explain, spared=1, enter=builders.enter, term=builders.term,
        leave=walled.leaving, there=builders.processes,
    )  # fmt: skip


@dataclass(slots=True)
class _Walled:
    inner: Wrapper
    builders: Builders
    isolated: bool
    works: list[Probe] = field(default_factory=list)
    leaving: Leaving = field(init=False)

    def __post_init__(self) -> None:
        self.leaving = Leaving(self.builders.leave)

    def probe(self) -> Probe:
        """Each builder is who it should be, and one of them that is idle runs a program this way."""
        met = self.builders.probe()
        if not met.ok:
            return met
        if not self.works:
            if not any(map(self.builders.is_idle, self.builders.found.values())):
                return Probe(ok=True, isolated=self.isolated)  # those that are busy were tried before
            tried = self._try()
            if not tried.ok:
                return tried
            self.works.append(tried)
        return self.works[0]

    def _try(self) -> Probe:
        """The way of a build, as short as it can be; what it leaves must be readable here."""
        claim = secrets.token_hex(20)
        with tempfile.TemporaryDirectory(prefix="cit-probe-") as folder:
            laid, directory = Path(folder, "laid"), Path(folder, "attempt")
            laid.mkdir()
            (directory / "log").mkdir(parents=True)
            try:
                room = self.builders.room(claim, "probe")
                plan = Plan(
                    build="probe", claim=claim, directory=str(directory), workspace=room.workspace, cwd=room.workspace,
                    command=("touch", "made"), env={"PATH": _PATH, "HOME": room.home, "TMPDIR": room.temporary},
                    seconds=_PROBE_S, output=0, network=False, builder=room.builder, laid=str(laid),
                )  # fmt: skip
                self.builders.enter(plan)
                wrapped = self.wrap(plan, "/usr/bin/touch")
                said = self.builders.run(plan, wrapped.opened[_SCRIPT_FD][0].read_bytes())
                self.builders.leave(plan)
            except Errored as fault:
                return Probe(ok=False, reason=fault.message)
            if said is not None or not Path(room.workspace, "made").is_file():
                return Probe(ok=False, reason=f"{self.inner.name} does not work as '{room.builder}': {said}")
        return Probe(ok=True, isolated=self.isolated)

    def wrap(self, plan: Plan, program: str) -> Wrapped:
        """The login that runs the command; what is run goes through a file, for it may hold secrets."""
        room = Path(plan.workspace).parent
        within = self.inner.wrap(replace(plan, directory=str(room)), program)
        for path, flags in within.opened.values():
            if not flags & os.O_WRONLY:
                path.chmod(0o640)  # its group is the builder's
        self.builders.shut(plan)
        script = Path(plan.directory) / "command"
        script.touch(mode=0o600)
        script.write_text(_script(within, room))
        env = {name: os.environ[name] for name in ("PATH", "HOME", "SSH_AUTH_SOCK") if name in os.environ}
        login = (
            "/bin/sh",
            "-c",
            f'exec "$@" <&{_SCRIPT_FD}',
            "sh",
            *self.builders.login(plan.builder, f"run {plan.claim}"),
        )
        return Wrapped("/", login, {**env, MARKER: plan.claim}, {_SCRIPT_FD: (script, os.O_RDONLY)})

    def explain(self, plan: Plan, status: int) -> str:
        """Why the login or the sandbox, not the command, failed."""
        if plan.claim in self.leaving.failing:
            return f"lost: builder '{plan.builder}' cannot be swept, so nothing that it left can be trusted"
        told = handover.words(Path(plan.directory), "status").strip()
        if status == 255 and told != b"255":
            return f"lost: the login of builder '{plan.builder}' broke off"
        return self.inner.explain(plan, status)


def _script(within: Wrapped, room: Path) -> str:
    """What the builder's shell runs, with an empty environment."""
    lines = []
    for number, (path, flags) in within.opened.items():
        into = flags & os.O_WRONLY
        lines.append(
            f"exec {number}{'>>' if into else '<'}{shlex.quote(str((room / 'own' / path.name) if into else path))}"
        )
    lines += [f"export {name}={shlex.quote(value)}" for name, value in within.env.items()]
    lines += [f"cd {shlex.quote(within.cwd)} && unset OLDPWD && exec {shlex.join(within.command)}"]
    return "\n".join(lines) + "\n"
