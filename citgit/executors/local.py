"""Runs an attempt on this machine: start, adopt, watch, limit and end it; how the command is wrapped is given."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from citgit.errors import Errored
from citgit.executors import usage
from citgit.executors.attempt import Attempt, Begun, Left, Stop, boot_id, boottime, cannot
from citgit.executors.descendants import Family, depth, kill, send
from citgit.executors.log_writer import LogWriter
from citgit.executors.orphans import Child, become_reaper, below, strangers
from citgit.executors.shim import pipes, resolve, spawn
from citgit.model.plan import Ended, Plan, Probe
from citgit.model.record import Exit

GRACE_S = 2.0
"""How long a command has to end by itself after TERM."""

GIVE_UP_S = 30.0
"""After so long even the shim is killed; an answer is then given although processes are left."""

_FIRST_SAMPLE_S = 0.05
_SAMPLE_S = 1.0
_PARTS_S = 0.2
_DRAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A command as the shim gets it; `opened` are files (path, flags) for its descriptors 3 to 7."""

    cwd: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    opened: Mapping[int, tuple[Path, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wrapper:
    """What makes one local executor differ from another.

    `wrap` gets the plan and the program's absolute path. `explain` gets the plan and the exit status, and says why
    the wrapper, not the command, failed ("" if it did not). The first `spared` generations below the shim are the
    wrapper's own and get no TERM.

    Where somebody else runs the command, `enter` makes everything ready there, raising Errored; `term` asks for its
    end; `leave` says whether nothing of it is left there, and is asked until it does; `there` are its processes.
    `sees` says whether the command can reach a file at all.
    Where that is another machine, `away`, the program and its use of memory are looked for there.
    """

    name: str
    probe: Callable[[], Probe]
    wrap: Callable[[Plan, str], Wrapped]
    explain: Callable[[Plan, int], str]
    spared: int = 0
    enter: Callable[[Plan], None] = lambda plan: None
    term: Callable[[Plan], None] = lambda plan: None
    leave: Callable[[Plan], bool] = lambda plan: True
    there: Callable[[Plan], set[int]] = lambda plan: set()
    sees: Callable[[Plan, str], bool] = lambda plan, path: True
    away: bool = False


@dataclass(slots=True)
class _Watch:
    """What is remembered of a running attempt between two looks; losing it costs precision only.

    `child` is the shim, if this process started it; `ends` a descriptor that is readable once the shim has ended;
    `others` are the children that this process had before; `left` is when the command was first seen to have ended.
    """

    family: Family
    begun: Begun
    child: int = 0
    ends: int = -1
    others: frozenset[Child] | None = None
    next_sample: float = _FIRST_SAMPLE_S
    next_parts: float = 0.0
    in_parts: int = 0
    termed: float = 0.0
    peak: usage.Peak = field(default_factory=usage.Peak)
    alive_at_ms: int = 0
    left: float = 0.0


class LocalExecutor:
    """An Executor whose commands run on this machine under the shim."""

    def __init__(self, wrapper: Wrapper, logs: LogWriter) -> None:
        self._wrapper = wrapper
        self._logs = logs
        self._watched: dict[str, _Watch] = {}
        self._empty: set[str] = set()

    @property
    def name(self) -> str:
        """As in `place.executor`."""
        return self._wrapper.name

    def probe(self) -> Probe:
        """Whether it works on this node."""
        return self._wrapper.probe()

    def start(self, plan: Plan) -> None:
        """Starts the command and returns at once; does nothing if it was started before.

        Raises Errored (NodeFull) if it cannot be started.
        """
        probe = self.probe()
        if not probe.ok:
            raise Errored(f"cannot use executor '{self.name}': {probe.reason}", hint="`cit doctor` looks at this node")
        attempt = Attempt(plan.directory)
        lock = attempt.begin(shim=True)
        if lock is None:
            return
        try:
            begun = attempt.begun()
            assert begun is not None
            self._logs.begin(attempt.log, "", begun.time)
            if plan.secrets:
                attempt.shut_parts()
            self._wrapper.enter(plan)
            program, why_not = ("", "") if self._wrapper.away else resolve(plan, partial(self._wrapper.sees, plan))
            if why_not:
                (attempt.log / "err").write_text(f"cit: {why_not}\n")
                attempt.leave(127, why_not)
                return
            others = strangers(self._shims()) if become_reaper() else None
            wrapped = self._wrapper.wrap(plan, program)
            secrets = attempt.secrets if plan.secrets else None
            try:
                child = spawn(
                    attempt.directory, wrapped.cwd, wrapped.command, wrapped.env, lock, wrapped.opened, secrets
                )
            finally:
                if secrets:
                    attempt.forget(path for path, flags in wrapped.opened.values() if not flags & os.O_WRONLY)
            watch = self._watched[plan.claim] = _new_watch(plan, attempt, begun)
            watch.child, watch.others, watch.ends = child, others, _descriptor(child)
        except OSError as fault:
            raise cannot(f"start the attempt in '{plan.directory}'", fault) from fault
        finally:
            os.close(lock)

    def poll(self, plan: Plan) -> Ended | None:
        """None while it runs; captures times and enforces limits."""
        attempt = Attempt(plan.directory)
        watch = self._watched.get(plan.claim)
        if watch is None and (ended := attempt.ended()):
            return ended
        begun = watch.begun if watch else attempt.begun()
        if begun is None or (watch is None and attempt.is_silent()):
            return Ended(error="never started: the worker ended between planning and starting it")
        watch = watch or self._watch(plan, attempt, begun)
        try:
            # In this order: an end that is written after the first look is seen by the second.
            alive = attempt.is_alive()
            left = attempt.left()
            if alive and left is None:
                watch.family.watchers = watch.family.watchers or attempt.watchers()
                self._look(plan, attempt, begun, watch)
                return None
            if alive and watch.ends >= 0 and attempt.age(begun) < (watch.left or attempt.age(begun)) + _DRAIN_S:
                # it drains the pipes, and its descriptor tells when it has: a turn is not held for that
                watch.left = watch.left or attempt.age(begun)
                return None
            if not self._is_over(plan, attempt, begun, watch, left) or not self._wrapper.leave(plan):
                return None
            return self._finish(plan, attempt, begun, watch, left)
        except OSError as fault:
            raise cannot(f"watch the attempt in '{plan.directory}'", fault) from fault

    def descriptors(self) -> list[int]:
        """Descriptors that are readable once an attempt may have ended."""
        return [watch.ends for watch in self._watched.values() if watch.ends >= 0]

    def stop(self, plan: Plan, why: str) -> None:
        """Asks the command and all its descendants to end; `poll` kills what is left two seconds later."""
        attempt = Attempt(plan.directory)
        begun = attempt.begun()
        if begun is not None and attempt.ended() is None and attempt.ask_to_stop(why):
            self._term(plan, attempt, self._watch(plan, attempt, begun))

    def clean(self, plan: Plan) -> None:
        """Leaves no process behind; the attempt's files stay. Raises Errored if some cannot be killed."""
        if plan.claim in self._empty:
            self._empty.discard(plan.claim)
            return
        attempt = Attempt(plan.directory)
        begun = attempt.begun()
        if begun is None:
            return
        watch = self._watch(plan, attempt, begun)
        end = time.monotonic() + GIVE_UP_S
        while not kill(watch.family):
            if time.monotonic() > end:
                raise Errored(f"cannot kill all processes of attempt '{plan.claim}'", hint="look at them with ps")
            time.sleep(0.01)
        self._drain(attempt, watch)
        send(attempt.watchers(), signal.SIGKILL)
        self._reap(watch)
        if not self._wrapper.leave(plan):
            raise Errored(f"cannot end all that attempt '{plan.claim}' started", hint="look at it with ps")
        self._forget(plan.claim)

    def _look(self, plan: Plan, attempt: Attempt, begun: Begun, watch: _Watch) -> None:
        """Captures times of what runs, and enforces limits."""
        age = attempt.age(begun)
        watch.alive_at_ms = round(age * 1000)
        written = sum(self._logs.mark(attempt.log, watch.alive_at_ms)) if attempt.log.is_dir() else 0
        if age >= watch.next_parts:
            watch.next_parts = age + _PARTS_S
            watch.in_parts = self._logs.parts(attempt.log, watch.alive_at_ms)
        self._enforce(plan, attempt, begun, watch, written + watch.in_parts)

    def _watch(self, plan: Plan, attempt: Attempt, begun: Begun) -> _Watch:
        watch = self._watched.get(plan.claim)
        if watch is None:
            watch = self._watched[plan.claim] = _new_watch(plan, attempt, begun)
            watch.peak = usage.load_peak(attempt.directory)
            if shim := attempt.watchers()[:1]:
                watch.ends = _descriptor(shim[0])
        watch.family.watchers = attempt.watchers()
        return watch

    def _shims(self) -> list[int]:
        return [one.child for one in self._watched.values()]

    def _forget(self, claim: str) -> None:
        watch = self._watched.pop(claim, None)
        if watch and watch.ends >= 0:
            os.close(watch.ends)

    def _is_over(self, plan: Plan, attempt: Attempt, begun: Begun, watch: _Watch, left: Left | None) -> bool:
        """Whether nothing can write to the log any more: what was left behind is dead, the pipes are drained."""
        if left and watch.child and watch.others is not None and self._drain(attempt, watch):
            now = strangers(self._shims())
            if now is not None and now <= watch.others:
                # the shim and all that descended from it are gone, or they would be our children now
                self._empty.add(plan.claim)
                return True
        watch.family.watchers = attempt.watchers()
        gone = kill(watch.family)
        if gone and self._drain(attempt, watch):
            return True
        ended_ms = left.ended - begun.time if left else watch.alive_at_ms
        if attempt.age(begun) * 1000 - ended_ms < GIVE_UP_S * 1000:
            return False
        send(attempt.watchers(), signal.SIGKILL)
        return True

    def _drain(self, attempt: Attempt, watch: _Watch) -> bool:
        """Whether the shim has ended: once nobody holds the pipes that is a matter of a moment."""
        end = time.monotonic() + _DRAIN_S
        while attempt.is_alive():
            if time.monotonic() > end:
                return False
            time.sleep(0.0005)
        return True

    def _enforce(self, plan: Plan, attempt: Attempt, begun: Begun, watch: _Watch, written: int) -> None:
        stop = attempt.stop()
        if stop is None and written > plan.output:
            attempt.ask_to_stop(f"wrote more than {plan.output} bytes of output", "output")
        elif stop is None and attempt.age(begun) > plan.seconds:
            attempt.ask_to_stop(f"took longer than {plan.seconds} s", "time")
            self._term(plan, attempt, watch)
        stop = stop or attempt.stop()
        if stop is not None:
            self._press(stop, watch)
        elif attempt.age(begun) >= watch.next_sample and not self._wrapper.away:
            # Soon at first, so that short builds get one too; then once a second.
            watch.next_sample = attempt.age(begun) + min(attempt.age(begun), _SAMPLE_S)
            peak = watch.peak.raised(usage.sample(self._sampled(watch) | self._wrapper.there(plan)))
            if peak != watch.peak:
                watch.peak = peak
                usage.save_peak(attempt.directory, peak)

    def _sampled(self, watch: _Watch) -> set[int]:
        """The attempt's processes, as far as they are found without a look at every process of the machine."""
        shims = watch.family.watchers
        if shims and become_reaper():
            return {*shims, *below(shims[0])}
        return {*shims, *(one.pid for one in watch.family.members())}

    def _term(self, plan: Plan, attempt: Attempt, watch: _Watch) -> None:
        self._wrapper.term(plan)
        watch.termed = boottime()  # it may have taken a moment, which is not the command's
        # Right after its start the shim has not said who it is: it must not be taken for one of the command's.
        end = time.monotonic() + _DRAIN_S
        while not (watch.family.watchers or time.monotonic() > end):
            watch.family.watchers = attempt.watchers()
        if not watch.family.watchers:
            return
        members = watch.family.members()
        below = depth(members, watch.family.watchers[0])
        mine = [one.pid for one in members if below.get(one.pid, GIVE_UP_S) > self._wrapper.spared]
        send(mine, signal.SIGTERM)
        # A stopped process gets its TERM only when it goes on.
        send([*mine, *watch.family.watchers], signal.SIGCONT)

    def _press(self, stop: Stop, watch: _Watch) -> None:
        """Kills what TERM did not end; too much output gets no grace, for the disk fills meanwhile."""
        waited = boottime() - max(stop.boottime, watch.termed)
        if not watch.family.watchers or (waited < GRACE_S and stop.limit != "output"):
            return
        if kill(watch.family) and waited > GIVE_UP_S:
            send(watch.family.watchers, signal.SIGKILL)

    def _finish(self, plan: Plan, attempt: Attempt, begun: Begun, watch: _Watch, left: Left | None) -> Ended:
        now = round(attempt.age(begun) * 1000)
        wall_ms = min(max(left.ended - begun.time if left else now, watch.alive_at_ms), now)
        written = 0
        if plan.secrets:
            attempt.shut_parts()
        if attempt.log.is_dir():
            written = sum(self._logs.mark(attempt.log, wall_ms)) + self._logs.parts(attempt.log, wall_ms)
        if written > plan.output:
            attempt.ask_to_stop(f"wrote more than {plan.output} bytes of output", "output")
        stop = attempt.stop()
        exit = exit_of(left.status) if left else Exit()
        children = self._reap(watch)
        ended = Ended(
            exit=exit,
            usage=usage.total(attempt.directory, Path(plan.workspace), wall_ms, watch.peak, children),
            started=begun.time,
            ended=begun.time + wall_ms,
            limit=stop.limit if stop else "",
            error=attempt.error() or self._why(plan, begun, left, stop),
        )
        if attempt.log.is_dir():
            self._logs.finish(attempt.log, ended.ended, exit, plan.output)
        attempt.keep(ended)
        self._forget(plan.claim)
        return ended

    def _why(self, plan: Plan, begun: Begun, left: Left | None, stop: Stop | None) -> str:
        """Why it did not end by itself; empty if it did."""
        if stop is not None:
            return f"stopped: {stop.why}"
        if left is not None:
            return self._wrapper.explain(plan, left.status)
        if begun.boot != boot_id():
            return "lost: the machine was restarted while it ran"
        return "lost: its watcher is gone without leaving an exit status (killed, out of memory, or never started)"

    def _reap(self, watch: _Watch) -> resource.struct_rusage | None:
        """What the kernel counted, if the shim was our own child; it is about to exit, so a short wait will do."""
        for _ in range(500 if watch.child else 0):
            with contextlib.suppress(ChildProcessError):
                pid, _, counted = os.wait4(watch.child, os.WNOHANG)
                if pid:
                    watch.child = 0
                    return counted
                time.sleep(0.0002)
                continue
            watch.child = 0
            break
        return None


def _new_watch(plan: Plan, attempt: Attempt, begun: Begun) -> _Watch:
    held = tuple(str(pipe) for pipe in pipes(Path(os.path.realpath(plan.directory))))
    return _Watch(Family(f"here.{plan.claim}" if plan.away else plan.claim, begun.boottime, held), begun)


def _descriptor(pid: int) -> int:
    """What is readable when the process ends; -1 where there is no such thing."""
    if sys.platform != "linux":
        return -1
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def exit_of(status: int) -> Exit:
    """The exit as a record has it. A shell tells death by signal n as 128 + n, and so do sandboxes.

    A program that itself exits with such a number cannot be told from that; numbers without a signal stay numbers.
    """
    with contextlib.suppress(ValueError):
        if status > 128:
            return Exit(signal=signal.Signals(status - 128).name)
    return Exit(status=status)
