"""What `process` does when something goes wrong around the command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from citgit.errors import Errored, NodeFull
from citgit.executors import attempt, local
from citgit.executors.attempt import Attempt
from citgit.executors.local import LocalExecutor, exit_of
from citgit.executors.process import process
from citgit.logs.capture import Capture
from citgit.model.plan import Plan
from citgit.model.record import Exit
from citgit.testing.executors import Bench, output, survivors, wait, wait_for_output


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Where `process` is tried."""
    return Bench(lambda: process(Capture()), tmp_path)


def started(bench: Bench, script: str) -> tuple[LocalExecutor, Plan, int]:
    """A running attempt that has said "up", and its shim's pid."""
    executor, plan = process(Capture()), bench.plan("sh", "-c", script)
    executor.start(plan)
    wait_for_output(plan, executor, b"up\n")
    return executor, plan, Attempt(plan.directory).watchers()[0]


@pytest.mark.parametrize(
    ("status", "exit"),
    [
        (0, Exit(status=0)),
        (1, Exit(status=1)),
        (127, Exit(status=127)),
        (128, Exit(status=128)),
        (130, Exit(signal="SIGINT")),
        (137, Exit(signal="SIGKILL")),
        (139, Exit(signal="SIGSEGV")),
        (170, Exit(status=170)),
        (255, Exit(status=255)),
    ],
)
def test_statuses_are_signals_only_where_there_is_one(status: int, exit: Exit) -> None:
    """128 + n is the signal n if there is such a signal, a status otherwise."""
    assert exit_of(status) == exit


def test_a_worker_that_died_before_it_spawned_is_adopted(bench: Bench) -> None:
    """Begun but never spawned is told as never started; starting it again starts it."""
    plan = bench.plan("true")
    lock = Attempt(plan.directory).begin()
    assert lock is not None
    os.close(lock)
    ended = process(Capture()).poll(plan)
    assert ended is not None
    assert ended.error.startswith("never started: ")
    assert not ended.started
    executor = process(Capture())
    executor.start(plan)
    assert wait(executor, plan).exit == Exit(status=0)


def test_a_killed_shim_takes_the_command_along(bench: Bench) -> None:
    """Without its watcher a command has no status; it is killed and the attempt told as lost."""
    executor, plan, shim = started(bench, "echo up; sleep 300")
    os.kill(shim, signal.SIGKILL)
    ended = wait(executor, plan)
    assert ended.error.startswith("lost: ")
    assert survivors(plan) == []


def test_a_stopped_build_ends_too(bench: Bench) -> None:
    """A build that stops itself and its shim is made to go on, to end."""
    executor, plan, shim = started(bench, "echo up; kill -STOP $PPID; kill -STOP $$; sleep 300")
    time.sleep(0.1)
    executor.stop(plan, "not wanted")
    assert wait(executor, plan, 5).error == "stopped: not wanted"
    assert not Path(f"/proc/{shim}/exe").exists()


def test_a_daemon_without_the_marker_is_found_by_its_session_and_log(bench: Bench) -> None:
    """Clearing the environment is not enough to stay, neither in the session nor outside while the log is held."""
    script = "env -i /bin/sleep 301 & env -i setsid /bin/sleep 302 & sleep 0.2; echo up; pgrep -xf '/bin/sleep 30[12]'"
    plan = bench.plan("sh", "-c", script)
    bench.run(plan)
    pids = [int(word) for word in output(plan).split()[1:]]
    assert len(pids) == 2
    assert [pid for pid in pids if Path(f"/proc/{pid}/exe").exists()] == []


def test_someone_elses_processes_stay(bench: Bench) -> None:
    """Ending an attempt touches nothing that started before it or belongs to another."""
    with subprocess.Popen(["sleep", "300"], env={"CIT_ATTEMPT": "other"}) as other:
        bench.run(bench.plan("sh", "-c", "sleep 300 & echo up"))
        assert other.poll() is None
        other.kill()


def test_a_running_command_can_be_cleaned_away(bench: Bench) -> None:
    """Cleaning leaves no process, the shim included; the files stay, and the end is told."""
    executor, plan, shim = started(bench, "echo up; setsid sleep 300 & sleep 300")
    executor.clean(plan)
    assert survivors(plan) == []
    assert not Path(f"/proc/{shim}/exe").exists()
    assert output(plan) == b"up\n"
    ended = wait(process(Capture()), plan, 5)
    assert ended.exit.status is None


def test_usage_is_measured(bench: Bench) -> None:
    """Time, processor, memory and disk are those of the whole tree."""
    script = (
        "head -c 3000000 /dev/zero > big; "
        f"{sys.executable} -c 'import time; x = bytearray(60_000_000); t = time.process_time()\n"
        "while time.process_time() - t < 0.4: pass'"
    )
    used = bench.run(bench.plan("sh", "-c", script)).usage
    assert 400 <= used.wall_ms < 20_000
    assert 380 <= used.cpu_ms < 5_000
    assert 55_000 < used.max_rss_kib < 300_000
    assert used.written_bytes >= 3_000_000
    assert used.disk_bytes >= 3_000_000


def test_usage_survives_the_worker(bench: Bench) -> None:
    """What was sampled before a restart counts after it."""
    executor, plan, _ = started(bench, f"{sys.executable} -c 'x = bytearray(60_000_000); print(\"up\")'; sleep 0.5")
    while executor.poll(plan) is None and not (Path(plan.directory) / "peak").exists():
        time.sleep(0.02)
    peak = (Path(plan.directory) / "peak").read_bytes()
    used = wait(process(Capture()), plan).usage
    assert used.max_rss_kib > 0
    assert peak


def test_no_descriptor_of_the_worker_reaches_the_build(bench: Bench) -> None:
    """A pipe that the worker inherited stays closed in the build, or its reader would wait for the build."""
    read, write = os.pipe()
    os.set_inheritable(write, True)
    plan = bench.plan("sleep", "2")
    executor = bench.make()
    executor.start(plan)
    os.close(write)
    began = time.monotonic()
    assert os.read(read, 1) == b""
    assert time.monotonic() - began < 1
    os.close(read)
    executor.clean(plan)


def test_the_command_has_default_signals(bench: Bench) -> None:
    """Python ignores SIGPIPE; a build must not."""
    plan = bench.plan("sh", "-c", "grep SigIgn /proc/self/status")
    bench.run(plan)
    assert int(output(plan).split()[1], 16) & 0x7FFFFFFF == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("nope",), "not found in PATH"),
        (("./absent",), "no such file"),
        (("./text",), "not executable"),
        (("exit", "3"), "cannot run 'exit'"),
        ((), "cannot run ''"),
    ],
)
def test_what_cannot_be_run_is_told_with_its_cause(bench: Bench, command: tuple[str, ...], words: str) -> None:
    """The message names the command and the cause, in the answer and in the log."""
    plan = bench.plan(*command)
    (Path(plan.workspace) / "text").write_text("no program")
    ended = bench.run(plan)
    assert ended.exit.status == 127
    assert words in ended.error
    assert words.encode() in output(plan, "err")


def test_a_relative_path_is_the_checkouts(bench: Bench) -> None:
    """A script in the checkout runs from `cwd`, also one without an interpreter line."""
    plan = bench.plan("./script", "a b")
    script = Path(plan.workspace) / "script"
    script.write_text('echo "got $1"\n')
    script.chmod(0o755)
    assert bench.run(plan).exit.status == 0
    assert output(plan) == b"got a b\n"


def test_a_directory_that_is_missing_is_told(bench: Bench) -> None:
    """The job's directory may not be in the checkout."""
    plan = bench.plan("true")
    ended = bench.run(Plan(**{**{name: getattr(plan, name) for name in plan.__struct_fields__}, "cwd": "/no/where"}))
    assert "no such directory" in ended.error


def test_a_full_disk_is_told_by_start(bench: Bench) -> None:
    """Where nothing can be written nothing is started."""
    plan = bench.plan("true")
    Path(plan.directory).symlink_to("/dev/full")
    with pytest.raises((Errored, NodeFull), match="cannot begin the attempt"):
        process(Capture()).start(plan)


def test_a_damaged_file_is_told_not_guessed(bench: Bench) -> None:
    """A half-written file after a power cut is an error that names it."""
    plan = bench.plan("true")
    bench.run(plan)
    (Path(plan.directory) / "ended").write_text('{"exit":')
    with pytest.raises(Errored, match="damaged file"):
        process(Capture()).poll(plan)


def test_a_status_that_is_half_written_does_not_count(bench: Bench) -> None:
    """Only the complete line is an end."""
    attempt = Attempt(str(bench.directory / "a"))
    lock = attempt.begin()
    assert lock is not None
    for content, complete in ((b" " * 15 + b"\n", False), (b"1", False), (b"13 en", False), (b"13 end\n", True)):
        (attempt.directory / "exit").write_bytes(content)
        assert (attempt.left() is not None) == complete
    assert attempt.is_alive()
    os.close(lock)
    assert not attempt.is_alive()


def test_another_boot_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart of the machine nothing can still run, and that is the reason given."""
    plan = bench.plan("true")
    lock = Attempt(plan.directory).begin()
    assert lock is not None
    os.close(lock)
    for module in (local, attempt):
        monkeypatch.setattr(module, "boot_id", lambda: "another")
    process(Capture()).start(plan)
    ended = process(Capture()).poll(plan)
    assert ended is not None
    assert "machine was restarted" in ended.error


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_no_descriptor_is_left_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the shim has said who it is before its start returns."""
    spawned = local.spawn

    def slow(*args: object) -> int:
        child = spawned(*args)  # type: ignore[arg-type]
        time.sleep(0.2)
        return child

    monkeypatch.setattr(local, "spawn", slow)
    executor, plan = process(Capture()), bench.plan("true")
    before = len(os.listdir("/proc/self/fd"))
    executor.start(plan)
    wait(executor, plan)
    executor.clean(plan)
    assert len(os.listdir("/proc/self/fd")) == before
