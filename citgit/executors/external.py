"""Executors in other languages: `cit-executor-NAME VERB DIRECTORY`, JSON in, JSON out (docs/executors.md)."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec

from citgit.errors import Errored
from citgit.executors.attempt import Attempt, cannot
from citgit.executors.descendants import MARKER
from citgit.executors.log_writer import LogWriter
from citgit.model.names import name as checked
from citgit.model.plan import Ended, Plan, Probe

VERSION = 1
PREFIX = "cit-executor-"
_CALL_S = 60
_POLL_S = 0.2
_TELL_S = 1.0
_ANSWER_BYTES = 1 << 20


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What an external executor reads on stdin; `why` comes with `stop`, `plan` with all verbs but `probe`."""

    version: int = VERSION
    verb: str
    plan: Plan | None = None
    why: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it prints: `error` if the verb failed; `probe` after probe; `ended` after poll, once it has."""

    version: int
    error: str = ""
    probe: Probe | None = None
    ended: Ended | None = None


class ExternalExecutor:
    """An Executor that asks the program `cit-executor-NAME` on PATH."""

    def __init__(self, name: str, logs: LogWriter, path: str | None = None) -> None:
        self._name = checked("executor", name)
        self._logs = logs
        self._path = path
        self._asked: dict[str, float] = {}
        self._told: dict[str, float] = {}

    @property
    def name(self) -> str:
        """As in `place.executor`."""
        return self._name

    def probe(self) -> Probe:
        """What the program says, or why it cannot be asked."""
        try:
            answer = self._ask(Question(verb="probe"), "/")
        except Errored as fault:
            return Probe(ok=False, reason=fault.message)
        return answer.probe or Probe(ok=False, reason=f"'{PREFIX}{self._name}' did not answer the probe")

    def start(self, plan: Plan) -> None:
        """Starts the command and returns at once; does nothing if it was started before. Raises Errored."""
        if plan.secrets:
            raise Errored(
                f"executor '{self._name}' writes the log itself, so secrets would not be masked in it",
                hint="a job with secrets runs under process or bwrap",
            )
        attempt = Attempt(plan.directory)
        lock = attempt.begin()
        if lock is None:
            return
        try:
            begun = attempt.begun()
            self._logs.begin(attempt.log, "", begun.time if begun else 0)
            _write_script(plan)
            self._ask(Question(verb="start", plan=plan), plan.directory)
        except OSError as fault:
            raise cannot(f"start the attempt in '{plan.directory}'", fault) from fault
        finally:
            os.close(lock)

    def poll(self, plan: Plan) -> Ended | None:
        """None while it runs; the program is asked a few times a second at most. Raises Errored."""
        attempt = Attempt(plan.directory)
        if ended := attempt.ended():
            return ended
        begun = attempt.begun()
        if begun is None:
            return Ended(error="never started: the worker ended between planning and starting it")
        ms = round(attempt.age(begun) * 1000)
        try:
            written = sum(self._logs.mark(attempt.log, ms)) if attempt.log.is_dir() else 0
        except OSError as fault:
            raise cannot(f"watch the attempt in '{plan.directory}'", fault) from fault
        if (stop := attempt.stop()) is not None:
            self._stop_again(plan, stop.why)
        else:
            self._limit(plan, ms, written)
        if time.monotonic() < self._asked.get(plan.claim, 0.0) + _POLL_S:
            return None
        answer = self._ask(Question(verb="poll", plan=plan), plan.directory)
        self._asked[plan.claim] = time.monotonic()
        if answer.ended is None:
            return None
        return self._finish(plan, attempt, begun.time, ms, answer.ended)

    def descriptors(self) -> list[int]:
        """None: its program is asked."""
        return []

    def stop(self, plan: Plan, why: str) -> None:
        """Asks the program to end the command and all its descendants. Raises Errored."""
        attempt = Attempt(plan.directory)
        if attempt.begun() is not None and attempt.ended() is None:
            self._stop(plan, why, "")

    def clean(self, plan: Plan) -> None:
        """Asks the program to leave no process behind. Raises Errored."""
        if Attempt(plan.directory).begun() is not None:
            self._ask(Question(verb="clean", plan=plan), plan.directory)
        self._asked.pop(plan.claim, None)
        self._told.pop(plan.claim, None)

    def _stop(self, plan: Plan, why: str, limit: str) -> None:
        if Attempt(plan.directory).ask_to_stop(why, limit):
            self._stop_again(plan, why)

    def _limit(self, plan: Plan, ms: int, written: int) -> None:
        if written > plan.output:
            self._stop(plan, f"wrote more than {plan.output} bytes of output", "output")
        elif ms > plan.seconds * 1000:
            self._stop(plan, f"took longer than {plan.seconds} s", "time")

    def _stop_again(self, plan: Plan, why: str) -> None:
        # Repeated, because this worker or the program may have died between the decision and the deed.
        if time.monotonic() >= self._told.get(plan.claim, 0.0) + _TELL_S:
            self._told[plan.claim] = time.monotonic()
            self._ask(Question(verb="stop", plan=plan, why=why), plan.directory)

    def _finish(self, plan: Plan, attempt: Attempt, started: int, ms: int, said: Ended) -> Ended:
        stop = attempt.stop()
        usage = said.usage if said.usage.wall_ms else msgspec.structs.replace(said.usage, wall_ms=ms)
        ended = Ended(
            exit=said.exit,
            usage=usage,
            started=said.started or started,
            ended=said.ended or started + ms,
            limit=stop.limit if stop else "",
            error=said.error or (f"stopped: {stop.why}" if stop else ""),
        )
        if attempt.log.is_dir():
            self._logs.mark(attempt.log, ms)
            self._logs.finish(attempt.log, ended.ended, ended.exit, plan.output)
        attempt.keep(ended)
        self._asked.pop(plan.claim, None)
        self._told.pop(plan.claim, None)
        return ended

    def _ask(self, question: Question, directory: str) -> Answer:
        program = shutil.which(PREFIX + self._name, path=self._path)
        if program is None:
            raise Errored(
                f"no program '{PREFIX}{self._name}' on PATH",
                hint="install it, or name another `executor` in [job.NAME.place], such as bwrap or process",
            )
        try:
            done = subprocess.run(
                [program, question.verb, directory],
                input=msgspec.json.encode(question),
                capture_output=True,
                timeout=_CALL_S,
                check=False,
                start_new_session=True,
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise Errored(f"cannot ask '{program}' to {question.verb}: {fault}", hint="try it by hand") from fault
        return _answer(program, question.verb, done)


def _answer(program: str, verb: str, done: subprocess.CompletedProcess[bytes]) -> Answer:
    words = done.stderr[-2000:].decode(errors="replace").strip() or "it said nothing on stderr"
    hint = "docs/executors.md says what it must answer"
    if done.returncode != 0:
        raise Errored(f"'{program} {verb}' ended with status {done.returncode}: {words}", hint=hint)
    try:
        version: dict[str, Any] = msgspec.json.decode(done.stdout[:_ANSWER_BYTES], type=dict[str, Any])
        if version.get("version") != VERSION:
            raise Errored(f"'{program}' speaks version {version.get('version')!r}, not {VERSION}", hint=hint)
        answer = msgspec.convert(version, Answer)
    except msgspec.MsgspecError as fault:
        raise Errored(f"'{program} {verb}' did not print an answer: {fault}", hint=hint) from fault
    if answer.error:
        raise Errored(f"executor '{program}' cannot {verb}: {answer.error}", hint="look at its stderr")
    return answer


def _write_script(plan: Plan) -> None:
    """`command.sh`: the whole plan as a script, for executors that hand it on to a shell, a queue or a host."""
    env = {**plan.env, MARKER: plan.claim}
    words = ["env", "-i", *(f"{name}={value}" for name, value in env.items()), *plan.command]
    script = Path(plan.directory) / "command.sh"
    script.touch(mode=0o700)
    script.write_text(f"#!/bin/sh\ncd {shlex.quote(plan.cwd)} && exec {shlex.join(words)}\n", errors="surrogateescape")
