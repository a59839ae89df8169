"""The contract of every executor, as checks that take a bench; the tests and `cit-conformance` run all of them."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from citgit.errors import CitError
from citgit.interfaces import Executor
from citgit.model.plan import Ended, Plan

_PATIENCE_S = 30.0
_LONG_LINE = 100_000_000


@dataclass(slots=True)
class Bench:
    """Where an executor is tried: `make` gives a fresh one, as a restarted worker would have."""

    make: Callable[[], Executor]
    directory: Path
    made: list[Plan] = field(default_factory=list)

    def plan(self, *command: str, seconds: int = 60, output: int = 10**6, network: bool = True) -> Plan:
        """A plan for a new attempt whose paths have spaces in them."""
        root = self.directory / f"attempt {len(self.made) + 1}"
        for name in ("work space", "home", "tmp"):
            (root / name).mkdir(parents=True)
        claim = os.urandom(20).hex()
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(root / "home"),
            "TMPDIR": str(root / "tmp"),
            "LANG": "C.UTF-8",
            "CIT_ATTEMPT": claim,
        }
        workspace = str(root / "work space")
        plan = Plan(
            build="0190a0a0-0000-7000-8000-000000000001", claim=claim, directory=str(root / "state"),
            workspace=workspace, command=command, cwd=workspace, env=env, seconds=seconds, output=output,
            network=network,
        )  # fmt: skip
        self.made.append(plan)
        return plan

    def run(self, plan: Plan) -> Ended:
        """Starts the plan and waits for its end."""
        executor = self.make()
        executor.start(plan)
        ended = wait(executor, plan)
        executor.clean(plan)
        return ended


def wait(executor: Executor, plan: Plan, seconds: float = _PATIENCE_S) -> Ended:
    """Polls until the attempt has ended."""
    end = time.monotonic() + seconds
    while (ended := executor.poll(plan)) is None:
        assert time.monotonic() < end, f"'{plan.command}' has not ended after {seconds} s"
        time.sleep(0.01)
    return ended


def output(plan: Plan, stream: str = "out") -> bytes:
    """What the command wrote."""
    return (Path(plan.directory) / "log" / stream).read_bytes()


def wait_for_output(plan: Plan, executor: Executor, wanted: bytes) -> None:
    """Polls until the command has written `wanted`."""
    end = time.monotonic() + _PATIENCE_S
    while wanted not in output(plan):
        assert executor.poll(plan) is None, f"ended before it wrote {wanted!r}: {output(plan, 'err')!r}"
        assert time.monotonic() < end, f"never wrote {wanted!r}"
        time.sleep(0.01)


def survivors(plan: Plan) -> list[int]:
    """The living processes that carry the attempt's marker."""
    marker = f"\0CIT_ATTEMPT={plan.claim}\0".encode()
    found = []
    for pid in psutil.pids():
        try:
            environment = b"\0" + Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
            dead = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
        except OSError:
            continue
        if marker in environment and not dead:
            found.append(pid)
    return found


def check_exit_0(bench: Bench) -> None:
    """A command that succeeds ends with status 0, without an error."""
    ended = bench.run(bench.plan("true"))
    assert (ended.exit.status, ended.exit.signal, ended.error, ended.limit) == (0, "", "", "")


def check_exit_3(bench: Bench) -> None:
    """An exit status is told as it is, and is no error of the system."""
    ended = bench.run(bench.plan("sh", "-c", "exit 3"))
    assert (ended.exit.status, ended.exit.signal, ended.error) == (3, "", "")


def check_signal(bench: Bench) -> None:
    """A command that a signal kills is told by the signal's name."""
    ended = bench.run(bench.plan("sh", "-c", "kill -SEGV $$"))
    assert (ended.exit.status, ended.exit.signal) == (None, "SIGSEGV")


def check_missing_command(bench: Bench) -> None:
    """A command that is not there is told as such, with a status of 127, and nothing runs."""
    ended = bench.run(bench.plan("cit-no-such-tool", "x"))
    assert ended.exit.status == 127
    assert "cannot run" in ended.error


def check_words(bench: Bench) -> None:
    """Arguments reach the command as they are: no shell looks at them, builtins are not taken for programs."""
    words = ["", " a  b ", "$(id)", "*", "ü\n'\"", "-n", "A=B"]
    plan = bench.plan("/usr/bin/printf", "[%s]", *words)
    assert bench.run(plan).exit.status == 0
    assert output(plan) == "".join(f"[{word}]" for word in words).encode()


def check_streams(bench: Bench) -> None:
    """Output and errors are kept apart, byte for byte, binary and unicode alike."""
    plan = bench.plan("sh", "-c", r"printf 'gr\303\274n \000\377\033[2J\r\n'; printf 'e\200\n' >&2")
    bench.run(plan)
    assert output(plan) == b"gr\xc3\xbcn \0\xff\x1b[2J\r\n"
    assert output(plan, "err") == b"e\x80\n"


def check_reopened_streams(bench: Bench) -> None:
    """A script that opens its own output by name neither empties it nor writes over it."""
    plan = bench.plan("sh", "-c", "echo 1; echo 2 >/dev/stdout; echo 3; echo a >&2; echo b >/dev/stderr; echo c >&2")
    bench.run(plan)
    assert (output(plan), output(plan, "err")) == (b"1\n2\n3\n", b"a\nb\nc\n")


def check_times(bench: Bench) -> None:
    """The log has marks that rise in time and end at the size of the streams."""
    plan = bench.plan("sh", "-c", "echo one; sleep 0.5; echo two")
    bench.run(plan)
    marks = [[int(word) for word in line.split()] for line in output(plan, "times").splitlines()]
    assert marks == sorted(marks)
    assert marks[0][1:] == [4, 0]
    assert marks[-1][1:] == [8, 0]
    assert marks[-1][0] - marks[0][0] >= 300


def check_environment(bench: Bench) -> None:
    """The command sees the plan's variables and nothing of the worker's."""
    os.environ["CIT_TEST_SECRET"] = "s3cret"
    try:
        plan = bench.plan("env")
        bench.run(plan)
    finally:
        del os.environ["CIT_TEST_SECRET"]
    seen = dict(line.split("=", 1) for line in output(plan).decode().splitlines())
    assert {name: seen.get(name) for name in plan.env} == plan.env
    assert set(seen) - set(plan.env) <= {"PWD"}


def check_directory_and_stdin(bench: Bench) -> None:
    """The command starts in `cwd`, reads nothing from stdin, and inherits no other descriptor."""
    plan = bench.plan("sh", "-c", "pwd; cat; ls -m /proc/$$/fd")
    bench.run(plan)
    # no pipeline: while it starts one, the shell itself holds the pipe's ends
    where, descriptors = output(plan).decode().splitlines()
    assert where == plan.cwd
    assert set(descriptors.split(", ")) <= {"0", "1", "2", "10", "255"}


def check_time_limit(bench: Bench) -> None:
    """After its time a command is ended, and the limit is named; what it wrote until then stays."""
    plan = bench.plan("sh", "-c", "echo here; sleep 60", seconds=1)
    began = time.monotonic()
    ended = bench.run(plan)
    assert ended.limit == "time"
    assert "longer than 1 s" in ended.error
    assert output(plan) == b"here\n"
    assert 1.0 <= time.monotonic() - began < 8
    assert 900 <= ended.usage.wall_ms < 8000


def check_output_limit(bench: Bench) -> None:
    """A line of 100 MB ends the attempt at its limit and costs the worker neither memory nor the whole disk."""
    plan = bench.plan("sh", "-c", f"head -c {_LONG_LINE} /dev/zero | tr '\\0' x; sleep 60", output=10**6)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = bench.run(plan)
    assert ended.limit == "output"
    assert len(output(plan)) + len(output(plan, "err")) == 10**6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    assert b'"truncated": true' in output(plan, "component.json")


def check_stop(bench: Bench) -> None:
    """A command that is asked to end may clean up, and the reason is kept."""
    plan = bench.plan("sh", "-c", "trap 'echo tidy; exit 7' TERM; echo up; while :; do sleep 0.05; done")
    executor = bench.make()
    executor.start(plan)
    wait_for_output(plan, executor, b"up\n")
    executor.stop(plan, "cancelled by anna")
    ended = wait(executor, plan)
    assert "cancelled by anna" in ended.error
    assert b"tidy\n" in output(plan)
    assert survivors(plan) == []


def check_deaf(bench: Bench) -> None:
    """A command and a child that ignore TERM are gone within five seconds all the same."""
    script = "trap '' TERM HUP INT; sleep 300 & echo up; while :; do sleep 1; done"
    _gone_after_stop(bench, bench.plan("sh", "-c", script))


def check_escaped_child(bench: Bench) -> None:
    """A child in a session of its own, forked twice, is gone after the stop."""
    _gone_after_stop(bench, bench.plan("sh", "-c", "(setsid sh -c 'sleep 300 & sleep 300' &) ; echo up; sleep 300"))


def check_left_behind(bench: Bench) -> None:
    """What a command leaves running when it ends by itself is gone before the end is told."""
    plan = bench.plan("sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo bye")
    ended = bench.run(plan)
    assert ended.exit.status == 0
    assert survivors(plan) == []


def check_fork_bomb(bench: Bench) -> None:
    """A few hundred processes that go on forking are gone within five seconds."""
    script = (
        "f() { while :; do sh -c 'sleep 0.2; sleep 300' & sleep 0.01; done; }\n"
        "i=0; while [ $i -lt 200 ]; do sleep 300 & i=$((i+1)); done\n"
        "f & f & setsid sh -c 'while :; do sleep 300 & sleep 0.01; done' & echo up; wait"
    )
    _gone_after_stop(bench, bench.plan("sh", "-c", script))


def _gone_after_stop(bench: Bench, plan: Plan) -> None:
    executor = bench.make()
    executor.start(plan)
    wait_for_output(plan, executor, b"up\n")
    executor.stop(plan, "no longer wanted")
    asked = time.monotonic()
    wait(executor, plan)
    assert survivors(plan) == []
    assert time.monotonic() - asked < 5


def check_adopted(bench: Bench) -> None:
    """A worker that is killed does not take its build along: the next one tells its status and whole output."""
    plan = bench.plan("sh", "-c", "echo up; sleep 1; echo late; exit 5")
    _killed_worker(bench, plan)
    executor = bench.make()
    ended = wait(executor, plan)
    assert (ended.exit.status, ended.error) == (5, "")
    assert output(plan) == b"up\nlate\n"
    assert ended.usage.wall_ms >= 900
    assert bench.make().poll(plan) == ended


def check_adopted_late(bench: Bench) -> None:
    """A build that ended while no worker was there is told as it ended."""
    plan = bench.plan("sh", "-c", "echo all; exit 6")
    _killed_worker(bench, plan)
    time.sleep(0.5)
    ended = wait(bench.make(), plan)
    assert (ended.exit.status, output(plan)) == (6, b"all\n")


def check_limit_after_adoption(bench: Bench) -> None:
    """The time counts from the start, whoever watches."""
    plan = bench.plan("sleep", "60", seconds=1)
    _killed_worker(bench, plan)
    time.sleep(1.2)
    executor = bench.make()
    began = time.monotonic()
    assert wait(executor, plan).limit == "time"
    assert time.monotonic() - began < 6


def _killed_worker(bench: Bench, plan: Plan) -> None:
    """A real process starts the plan and is killed at once."""
    pid = os.fork()
    if pid == 0:
        try:
            bench.make().start(plan)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert (Path(plan.directory) / "begun").exists(), "the worker died before it had started the attempt"


def check_never_started(bench: Bench) -> None:
    """An attempt that was planned but not started is told as such, again and again."""
    plan = bench.plan("true")
    ended = bench.make().poll(plan)
    assert ended is not None
    assert "never started" in ended.error
    assert ended.exit.status is None


def check_start_twice(bench: Bench) -> None:
    """Starting again what was started runs nothing twice."""
    plan = bench.plan("sh", "-c", "echo once; sleep 0.3")
    executor = bench.make()
    executor.start(plan)
    executor.start(plan)
    bench.make().start(plan)
    wait(executor, plan)
    executor.start(plan)
    assert output(plan) == b"once\n"


def check_two_at_once(bench: Bench) -> None:
    """Two attempts of one executor do not touch each other: stopping one leaves the other."""
    executor = bench.make()
    first, second = bench.plan("sleep", "60"), bench.plan("sh", "-c", "echo up; sleep 1; echo done")
    executor.start(first)
    executor.start(second)
    wait_for_output(second, executor, b"up\n")
    executor.stop(first, "not wanted")
    assert wait(executor, first).error != ""
    ended = wait(executor, second)
    assert (ended.exit.status, output(second)) == (0, b"up\ndone\n")


CHECKS: dict[str, Callable[[Bench], None]] = {
    name.removeprefix("check_"): check for name, check in list(globals().items()) if name.startswith("check_")
}
"""Every check by name."""


def check_on(bench: Bench, name: str) -> str:
    """How the executor breaks a check, "" if it holds; whatever it left running is killed."""
    try:
        CHECKS[name](bench)
    except (AssertionError, CitError, OSError) as error:
        # the line that did not hold, where no test framework takes it apart
        frame = traceback.extract_tb(error.__traceback__)[-1]
        words = str(error) or f"this does not hold: {(frame.line or '').removeprefix('assert ')}"
        where = error.__traceback__
        while where and "ended" not in where.tb_frame.f_locals:
            where = where.tb_next
        return f"{words}; it ended as {where.tb_frame.f_locals['ended']}" if where else words
    finally:
        kill_survivors(bench)
    return ""


def kill_survivors(bench: Bench) -> None:
    """Kills what plans of the bench left running."""
    for pid in [pid for plan in bench.made for pid in survivors(plan)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
