"""A job's own word about a node: a program of its checkout, run for a moment as a build would be."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from citgit.errors import CitError
from citgit.interfaces import Executor, Sources
from citgit.model.plan import Plan
from citgit.model.record import Decision, Request
from citgit.workspaces.tips import at_tips

SECONDS = 4
"""For how long the program may think: whoever asks for a build waits for it."""

_OUTPUT = 1 << 16
_KEPT_S = 60.0
_MOST_KEPT = 200


@dataclass(slots=True)
class Trials:
    """What programs said here lately, so that a build that waits does not start them at each poll."""

    home: Path
    url: str
    sources: Sources
    executors: Mapping[str, Executor]
    choose: Callable[[Mapping[str, Executor], str, bool], str]
    walled: bool = False
    """Whether builds run as other users here: then no program of a checkout may run as this one."""
    said: dict[tuple[str, ...], tuple[float, Decision]] = field(default_factory=dict)

    def ask(self, request: Request, *, own: bool) -> list[Decision]:
        """The program's word as one decision; nothing if the job names none."""
        program = request.definition.requires.can_build
        if not program:
            return []
        if self.walled:
            why = "this node builds as other users or on another machine, and runs no such program"
            return [Decision(check=f"can_build {program}", ok=False, found=why)]
        try:
            request = at_tips(self.sources, self.url, request)
        except CitError as error:
            return [Decision(check=f"can_build {program}", ok=False, found=error.message[:300])]
        source = request.sources[0]
        parameters = sorted(f"{name}={value}" for name, value in request.parameters.items())
        key = (source.commit, program, str(own), request.definition.place.executor, *parameters)
        now = time.monotonic()
        known = self.said.get(key)
        if known is None or now - known[0] > _KEPT_S:
            if len(self.said) >= _MOST_KEPT:
                self.said.clear()
            known = self.said[key] = (now, self._ask(request, program, own))
        return [known[1]]

    def _ask(self, request: Request, program: str, own: bool) -> Decision:
        check = f"can_build {program}"
        folder = self.home / "trials" / secrets.token_hex(8)
        try:
            name = self.choose(self.executors, request.definition.place.executor, own)
            plan = self._plan(request, program, folder, name)
            return self._run(plan, self.executors[name], check)
        except (CitError, OSError) as error:
            return Decision(check=check, ok=False, found=str(error)[:300])
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _plan(self, request: Request, program: str, folder: Path, executor: str) -> Plan:
        source = request.sources[0]
        url = source.url or self.url
        self.sources.fetch(url, source.commit, source.ref)
        workspace = folder / "workspace"
        self.sources.checkout(url, source.commit, workspace, submodules=False)
        for private in ("home", "tmp"):
            (folder / private).mkdir(mode=0o700)
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"),
            "LANG": "C.UTF-8", "CIT_JOB": request.job, "CIT_BRANCH": request.branch, "CIT_COMMIT": source.commit,
        }  # fmt: skip
        env |= {f"CIT_PARAM_{key.upper().replace('-', '_')}": str(value) for key, value in request.parameters.items()}
        # as a path, so that it can only be a file of the checkout
        return Plan(
            build="", claim=secrets.token_hex(20), directory=str(folder / "attempt"), workspace=str(workspace),
            command=(f"./{program}",), cwd=str(workspace), env=env, seconds=SECONDS, output=_OUTPUT, executor=executor,
            network=request.definition.place.network,
        )  # fmt: skip

    def _run(self, plan: Plan, executor: Executor, check: str) -> Decision:
        executor.start(plan)
        try:
            while (ended := executor.poll(plan)) is None:
                time.sleep(0.02)
        finally:
            executor.clean(plan)
        lines = (Path(plan.directory) / "log" / "out").read_bytes()[:400].decode("utf-8", "replace").split("\n")
        words = next((line.strip() for line in lines if line.strip()), "")
        if ended.error or ended.limit:
            return Decision(check=check, ok=False, found=ended.error[:300])
        return Decision(
            check=check, ok=ended.exit.status == 0, found=words or f"exit status {ended.exit.status}{ended.exit.signal}"
        )
