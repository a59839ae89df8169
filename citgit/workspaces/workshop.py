"""Attempts on disk: one directory each, which a restarted worker finds again and goes on with.

HOME/attempts/<claim>/   attempt.json, plan.json, result.json, log/ (the log tree), artifacts/, home/, tmp/
HOME/open/<claim>        an empty file for each attempt whose result is not published
HOME/workspaces/<uuid>/  the checkout of a build; <uuid>.2 for its second attempt here
HOME/by-name/<job>@<branch>  a link to the newest workspace of the job, for people
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from citgit.errors import CitError, Errored, NotFound
from citgit.interfaces import Executor, Oid, Rooms, Sources
from citgit.model.names import is_build_id, is_oid
from citgit.model.plan import Ended, Input, Plan, Room
from citgit.model.record import (
    Advert,
    Claim,
    Decision,
    LogSummary,
    Outcome,
    Request,
    Result,
)  # fmt: skip
from citgit.rules.authority import runs_as_owner
from citgit.rules.build_key import build_key
from citgit.workspaces.aside import Aside
from citgit.workspaces.below import inside
from citgit.workspaces.ends import assurance, below, is_long, size
from citgit.workspaces.ends import outcome as outcome_of
from citgit.workspaces.inputs import bring, find
from citgit.workspaces.kept import CLEAN, OPEN, Attempt, drained, kept, list_open, load, save, unfinished
from citgit.workspaces.node import advert
from citgit.workspaces.parts import Laid, Tools
from citgit.workspaces.reserve import Reserve
from citgit.workspaces.secrets import SECRETS, entrusted, masked
from citgit.workspaces.tips import at_tips
from citgit.workspaces.trial import Trials

_LAID = "laid.json"


class NodeWorkshop:
    """The workshop of one agent on this node, below `home`; `url` is what requests call "self"."""

    def __init__(
        self, home: Path, url: str, sources: Sources, executors: Mapping[str, Executor], tools: Tools, node: str = "",
        *, reserve: Reserve | None = None, rooms: Rooms | None = None,
    ) -> None:  # fmt: skip
        self.home = home
        self._url = url
        self._sources = sources
        self._executors = executors
        self._tools = tools
        self._rooms = rooms
        self._node = node or socket.gethostname()
        self._begun: set[Oid] = set()
        self._aside = Aside()
        self._plans: dict[Oid, Plan] = {}
        self._results: dict[Oid, Result] = {}
        self._reserve = reserve or Reserve(home)
        self._trials = Trials(home, url, sources, executors, lambda *asked: tools.choose(*asked), rooms is not None)
        self._running: dict[Oid, str] | None = None
        for part in ("attempts", "workspaces", "by-name"):
            (home / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        list_open(home)

    def advert(self, boot: str, slots: int, labels: Sequence[str], tools: Sequence[str] | None = None) -> Advert:
        """What this node offers, found out now."""
        machine = self._rooms.machine(tools) if self._rooms else None
        return advert(self.home, self._executors, boot, slots, labels, tools, machine)

    def start(
        self, build: str, claim: Oid, request: Request, claimed: Claim, *, own: bool,
        inputs: Callable[[], Sequence[Input]] = tuple,
    ) -> str:  # fmt: skip
        """Checks out and starts the command. An error of the node becomes the attempt's end, told by `poll`.

        A command is started once: an attempt of an earlier worker goes on where that one died.
        Raises OSError if the disk does not even take what the attempt is for; calling it again tries again.
        """
        directory = self._directory(claim)
        is_own = own or runs_as_owner(request)
        if claim not in self._begun:
            (self.home / OPEN / claim).touch()
            directory.mkdir(mode=0o700, exist_ok=True)
            attempt = kept(directory / "attempt.json", Attempt)
            if attempt is None:
                attempt = Attempt(build=build, claim=claim, request=request, number=claimed.attempt, own=is_own)
                save(directory / "attempt.json", attempt)
            self.running()
            if self._running is not None:
                self._running[claim] = attempt.build
            self._begin(directory, attempt, inputs)
        return f"{self._node}:{directory}"

    def _begin(self, directory: Path, attempt: Attempt, inputs: Callable[[], Sequence[Input]]) -> None:
        try:
            if not attempt.error and kept(directory / "result.json", Result) is None:
                self._plan_and_start(directory, attempt, inputs)
        except CitError as error:
            self._fail(directory, attempt, error.message)
        self._begun.add(attempt.claim)

    def _fail(self, directory: Path, attempt: Attempt, why: str) -> None:
        self._plans.pop(attempt.claim, None)
        save(directory / "attempt.json", msgspec.structs.replace(attempt, error=why))

    def _plan_and_start(self, directory: Path, attempt: Attempt, inputs: Callable[[], Sequence[Input]]) -> None:
        plan = kept(directory / "plan.json", Plan)
        if plan is None:
            if brought := tuple(inputs()):
                attempt = msgspec.structs.replace(attempt, inputs=brought)
                save(directory / "attempt.json", attempt)
            if (request := at_tips(self._sources, self._url, attempt.request)) != attempt.request:
                attempt = msgspec.structs.replace(attempt, request=request)
                save(directory / "attempt.json", attempt)
            if not self._is_light(attempt.request):
                (directory / _LAID).unlink(missing_ok=True)
                self._aside.begin(attempt.claim, lambda: self._lay_aside(directory, attempt))
                return
            plan = self._plan(directory, attempt, self._lay(attempt))
        self._launch(directory, attempt, plan)

    def _launch(self, directory: Path, attempt: Attempt, plan: Plan) -> None:
        if not (directory / "plan.json").exists():
            save(directory / "plan.json", plan)
        self._plans[attempt.claim] = plan
        if plan.executor in self._executors:
            self._executors[plan.executor].start(
                entrusted(plan, lambda: self._tools.secrets(attempt.request)) if plan.secrets else plan
            )

    def has(self, inputs: Sequence[Input]) -> bool:
        """Whether this node has these files of upstream builds."""
        homes = self._homes() if inputs else []
        return all(find(homes, one) for one in inputs)

    def can_build(self, request: Request, *, own: bool) -> list[Decision]:
        """What this node's owner and the job's own program say."""
        told = self._tools.entrusts(request)
        return [*told, *self._trials.ask(request, own=own or runs_as_owner(request))]

    def short(self) -> str:
        """What the disk lacks, or that whoever owns the node wants nothing new to start; "" if nothing."""
        return self._reserve.short() or drained(self.home)

    def poll(self, claim: Oid) -> Result | None:
        """None while the attempt runs, or waits to be started; its result, kept on disk, once it has ended."""
        directory = self._directory(claim)
        if self._aside.runs(claim):
            return None
        if result := self._results.get(claim) or kept(directory / "result.json", Result):
            return result
        if claim not in self._plans:
            attempt = load(directory / "attempt.json", Attempt)
            if attempt.error:
                return self._keep(directory, Result(claim=claim, outcome=Outcome.ERRORED, reason=attempt.error))
            if not (directory / "plan.json").exists():
                if claim in self._aside.ended:
                    self._go_on(directory, attempt)
                return None
            self._plans[claim] = load(directory / "plan.json", Plan)
        plan = self._plans[claim]
        executor = self._executors.get(plan.executor)
        if executor is None:
            reason = f"executor {plan.executor!r} is gone"
            return self._keep(directory, Result(claim=claim, outcome=Outcome.ERRORED, reason=reason))
        ended = executor.poll(plan)
        if ended is None or (not ended.started and claim not in self._begun):
            # the worker before this one died before it started the command: `start` does, if it is still wanted
            return None
        executor.clean(plan)
        attempt = load(directory / "attempt.json", Attempt)
        if claim not in self._aside.ended and is_long(attempt.request, directory / "log", ended):
            self._aside.begin(claim, lambda: self._keep(directory, self._result(directory, attempt, plan, ended)))
            return None
        return self._keep(directory, self._result(directory, attempt, plan, ended))

    def _go_on(self, directory: Path, attempt: Attempt) -> None:
        """Starts the command of an attempt whose checkout was made aside; a full disk lets the next poll try again."""
        try:
            laid = kept(directory / _LAID, Laid)
            if laid is None:
                raise Errored("its checkout ended without a word: something killed it")
            self._launch(directory, attempt, self._plan(directory, attempt, laid))
        except CitError as error:
            self._fail(directory, attempt, error.message)
        self._aside.ended.discard(attempt.claim)

    def stop(self, claim: Oid, why: str) -> None:
        """Makes an attempt end."""
        directory = self._directory(claim)
        with contextlib.suppress(NotFound):
            attempt = load(directory / "attempt.json", Attempt)
            self._begun.add(claim)
            if not (directory / "plan.json").exists():
                self._aside.stop(claim)
                save(directory / "attempt.json", msgspec.structs.replace(attempt, error=f"stopped: {why}"))
                return
            plan = load(directory / "plan.json", Plan)
            self._executors[plan.executor].stop(plan, why)

    def descriptors(self) -> list[int]:
        """Descriptors that are readable once an attempt may have ended."""
        found = [one for executor in self._executors.values() for one in executor.descriptors()]
        return found + self._aside.descriptors()

    def running(self) -> dict[Oid, str]:
        """The attempts whose results are not published, by claim; those of an earlier worker are found once."""
        if self._running is None:
            self._running = unfinished(self.home)
        return dict(self._running)

    def finish(self, claim: Oid) -> None:
        """The result is published: the attempt's files stay until they are tidied away."""
        directory = self._directory(claim)
        self._aside.stop(claim)
        with contextlib.suppress(NotFound):
            plan = self._plans.get(claim) or load(directory / "plan.json", Plan)
            executor = self._executors.get(plan.executor)
            # without a wall a build can write its own result, and be told about before it has ended
            if executor and claim not in self._results and executor.poll(plan) is None:
                executor.clean(plan)
            if plan.laid:
                shutil.rmtree(plan.laid, ignore_errors=True)
        (directory / CLEAN).touch()
        (self.home / OPEN / claim).unlink(missing_ok=True)
        self._tools.over(directory / "log")
        self._begun.discard(claim)
        for known in (self._plans, self._results):
            known.pop(claim, None)
        self.running()
        if self._running is not None:
            self._running.pop(claim, None)

    # ---------------------------------------------------------------------------------------------------

    def _directory(self, claim: Oid) -> Path:
        if not is_oid(claim):
            raise NotFound(f"not a claim: {claim[:60]!a}")
        return self.home / "attempts" / claim

    def _homes(self) -> list[Path]:
        """Where this node's workers keep their attempts: this one's home, and those beside it."""
        return [self.home, *sorted(path.parent for path in self.home.parent.glob("*/attempts"))]

    def _is_light(self, request: Request) -> bool:
        """Whether its checkout is done in a moment; all else is done aside."""
        sources = request.sources
        return not request.definition.source.submodules and all(
            self._sources.is_light(one.url or self._url, one.commit) for one in sources
        )

    def _lay(self, attempt: Attempt) -> Laid:
        request = attempt.request
        # refused before anything is written
        self._tools.choose(self._executors, request.definition.place.executor, attempt.own)
        if (workspace := self._workspace(attempt)).exists():
            # left by an attempt that died before its command began: nothing of it is to be trusted
            shutil.rmtree(workspace)
        needs: list[Path] = []
        for source in request.sources:
            target = inside(workspace, source.at)
            url = source.url or self._url
            self._sources.fetch(url, source.commit, source.ref)
            needs += self._sources.checkout(url, source.commit, target, submodules=request.definition.source.submodules)
        if attempt.inputs:
            bring(self._homes(), workspace, attempt.inputs)
        return Laid(needs=tuple(map(str, needs)))

    def _lay_aside(self, directory: Path, attempt: Attempt) -> None:
        try:
            save(directory / _LAID, self._lay(attempt))
        except CitError as error:
            self._fail(directory, attempt, error.message)
        except OSError as error:
            self._fail(directory, attempt, f"cannot check out: {error}")

    def _plan(self, directory: Path, attempt: Attempt, laid: Laid) -> Plan:
        request = attempt.request
        job = request.definition
        workspace = self._workspace(attempt)
        executor = self._tools.choose(self._executors, job.place.executor, attempt.own)
        real = workspace.resolve()
        cwd = real if job.directory == "." else (workspace / job.directory).resolve()
        if not cwd.is_relative_to(real):
            raise Errored(f"directory {job.directory!r} leads out of the workspace")
        room = self._room(directory, attempt, workspace)
        if room.builder:
            cwd = Path(room.workspace) / cwd.relative_to(real)
        env = self._tools.environment(
            request=request, build=attempt.build, claim=attempt.claim, directory=cwd, room=room, node=self._node
        )
        if not room.away:
            self._name(attempt, room.workspace)
        readable = (room.tools,) if room.builder else (*laid.needs, *self._tools.programs)
        return Plan(
            build=attempt.build, claim=attempt.claim, directory=str(directory), workspace=room.workspace,
            command=job.command, cwd=str(cwd), env=env, seconds=job.limits.time, output=job.limits.output,
            network=job.place.network, executor=executor, memory=job.requires.memory,
            read_only=tuple(map(str, readable)), builder=room.builder, laid=str(workspace) if room.builder else "",
            away=room.away,
            secrets=job.env.secrets,
        )  # fmt: skip

    def _room(self, directory: Path, attempt: Attempt, workspace: Path) -> Room:
        if self._rooms:
            return self._rooms.room(attempt.claim, workspace.name)
        for private in ("home", "tmp"):
            (directory / private).mkdir(mode=0o700, exist_ok=True)
        return Room(
            place=str(directory), workspace=str(workspace), home=str(directory / "home"),
            temporary=str(directory / "tmp"), log=str(directory / "log"),
        )  # fmt: skip

    def _workspace(self, attempt: Attempt) -> Path:
        if not is_build_id(attempt.build):
            raise Errored(f"not a build id: {attempt.build[:60]!a}")
        place = self.home / "workspaces"
        suffix = "" if attempt.number == 1 else f".{attempt.number}"
        return place / f"{attempt.build}{suffix}"

    def _name(self, attempt: Attempt, workspace: str) -> None:
        label = f"{attempt.request.job}@{attempt.request.branch.replace('/', '-')}"[:200]
        link = self.home / "by-name" / label
        with contextlib.suppress(OSError):
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.realpath(workspace))

    def _result(self, directory: Path, attempt: Attempt, plan: Plan, ended: Ended) -> Result:
        request = attempt.request
        log = directory / "log"
        found = self._tools.collect(Path(plan.workspace), directory, request)
        outcome, reason = (Outcome.ERRORED, found.fault) if found.fault else outcome_of(ended, plan)
        if outcome is Outcome.PASSED and found.missing:
            reason = f"passed, but nothing matches {', '.join(found.missing)}"[:500]
        components = self._tools.components(log)
        trees = {one.at: self._sources.tree(one.url or self._url, one.commit) for one in request.sources}
        isolated = self._executors[plan.executor].probe().isolated
        return Result(
            claim=attempt.claim,
            outcome=outcome,
            reason=reason,
            exit=ended.exit,
            assurance=assurance(plan, isolated=isolated),
            started=ended.started,
            ended=ended.ended,
            usage=ended.usage,
            log=LogSummary(
                where=f"{self._node}:{log}", out_bytes=size(log / "out"), err_bytes=size(log / "err"),
                truncated=ended.limit == "output", tail=self._tools.tail(log),
            ),
            first_error=None if outcome is Outcome.PASSED else below(self._tools.first_error(log), plan.workspace),
            tests=found.tests,
            components=components,
            artifacts=found.artifacts,
            key=build_key(request, trees, plan.executor, {one.path: one.sha256 for one in attempt.inputs}),
            environment={"executor": plan.executor, "node": self._node, "isolated": "yes" if isolated else "no"}
            | ({"target": plan.builder} if plan.away else {}),
        )  # fmt: skip

    def _keep(self, directory: Path, result: Result) -> Result:
        if (held := directory / SECRETS).exists():
            result = masked(result, self._tools.mask(load(held, dict[str, str]).values()))
        save(directory / "result.json", result)
        (directory / SECRETS).unlink(missing_ok=True)
        self._results[result.claim] = result
        return result
