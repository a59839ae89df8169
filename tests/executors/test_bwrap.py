"""What a build in `bwrap` can and cannot reach."""

import os
import socket
import threading
from pathlib import Path

import pytest

from citgit.errors import Errored
from citgit.executors.bwrap import bwrap
from citgit.logs.capture import Capture
from citgit.model.plan import Plan
from citgit.testing.executors import Bench, output, wait_for_output


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Where `bwrap` is tried, if it works here; the worker's state is hidden as wiring does it."""
    state = tmp_path / "state of the worker"
    state.mkdir()
    (state / "key").write_text("s3cret")
    probe = bwrap(Capture()).probe()
    if not probe.ok:
        pytest.fail(probe.reason) if os.environ.get("CI") == "true" else pytest.skip(f"bwrap: {probe.reason}")
    return Bench(lambda: bwrap(Capture(), [state]), state)


def said(bench: Bench, script: str, **options: bool) -> str:
    """What a script writes to stdout in the sandbox."""
    plan = bench.plan("sh", "-c", script, **options)  # type: ignore[arg-type]
    ended = bench.run(plan)
    assert ended.error == "", output(plan, "err")
    return output(plan).decode()


def changed(plan: Plan, **changes: object) -> Plan:
    """The plan with other values."""
    return Plan(**{**{name: getattr(plan, name) for name in plan.__struct_fields__}, **changes})  # type: ignore[arg-type]


def test_it_says_that_it_isolates(bench: Bench) -> None:
    """The probe runs for real and tells that this executor is a wall."""
    probe = bench.make().probe()
    assert (probe.ok, probe.isolated) == (True, True)


def test_secrets_of_the_user_are_not_there(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the user's HOME, wherever it is, nor the worker's state, nor sockets in /run and /tmp are to be seen."""
    home = tmp_path_factory.mktemp("home of anna")
    (home / "id_ed25519").write_text("s3cret")
    monkeypatch.setenv("HOME", str(home))
    places = f"'{home}' '{bench.directory}' /root /home /run /var/tmp"
    seen = said(bench, f"find {places} -type f -o -type s 2>/dev/null; cat '{home}/id_ed25519' 2>/dev/null; true")
    assert seen == ""


def test_only_its_own_directories_can_be_written(bench: Bench) -> None:
    """Workspace, HOME and TMPDIR take files and keep them; the rest of the system does not."""
    plan = bench.plan(
        "sh", "-c",
        'for d in . "$HOME" "$TMPDIR" /tmp; do touch "$d/fine" || echo "not $d"; done\n'
        'for d in / /etc /usr /var /home /root /run "${HOME%/*}" "${HOME%/*}/state/log" /sys /proc/sys/kernel; do\n'
        '  (: >"$d/bad") 2>/dev/null && echo "wrote $d"; done; true',
    )  # fmt: skip
    bench.run(plan)
    # What lies below /tmp is the attempt's TMPDIR inside, so it may be written; it is not what is there outside.
    attempt = Path(plan.directory).parent
    assert [line for line in output(plan).decode().splitlines() if not line.startswith("wrote /tmp")] == []
    assert list(attempt.rglob("bad")) == [one for one in attempt.rglob("bad") if one.is_relative_to(attempt / "tmp")]
    for place in (plan.workspace, plan.env["HOME"], plan.env["TMPDIR"]):
        assert (Path(place) / "fine").exists()


def test_the_log_is_write_only_through_its_descriptors(bench: Bench) -> None:
    """The build cannot rewrite what it said, nor the files that tell how it ended."""
    plan = bench.plan(
        "sh", "-c", 'echo said; d=$(dirname "$HOME")/state; ls "$d"; rm -rf "$d"; : > /proc/self/fd/1; echo end'
    )
    bench.run(plan)
    assert output(plan) == b"said\nlog\nend\n"  # of the state, only the parts of the log are there to be written


def test_other_processes_are_not_there(bench: Bench) -> None:
    """The build sees its own processes only, and cannot signal others."""
    pids = said(bench, f"ls /proc | grep -c '^[0-9]'; kill -0 {os.getpid()} 2>/dev/null && echo reached; true")
    assert int(pids.split()[0]) < 10
    assert "reached" not in pids


@pytest.mark.parametrize("network", [True, False])
def test_the_network_is_there_only_if_asked_for(bench: Bench, network: bool) -> None:
    """With network=False not even the machine itself can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: server.accept()[0].close(), daemon=True).start()
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('reached')"
        seen = said(bench, f'/usr/bin/python3 -c "{code}" 2>/dev/null || echo away', network=network)
        assert seen == ("reached\n" if network else "away\n")
        if not network:
            socket.create_connection(("127.0.0.1", port)).close()


def test_nothing_of_the_job_reaches_the_sandbox_itself(bench: Bench) -> None:
    """What the job sets counts inside only: bwrap and the shim run with an environment of their own."""
    plan = bench.plan("sh", "-c", "echo $LD_PRELOAD; exit 4")
    ended = bench.run(changed(plan, env={**plan.env, "LD_PRELOAD": "/nowhere/evil.so", "ENV": "/nowhere/evil.sh"}))
    assert (ended.exit.status, ended.error) == (4, "")
    assert output(plan) == b"/nowhere/evil.so\n"
    assert output(plan, "err").count(b"evil.so") <= 3


def test_its_options_are_in_no_command_line(bench: Bench) -> None:
    """Values of the environment may be secret: other users of the machine cannot read them from the process list."""
    plan = bench.plan("sh", "-c", "echo up; sleep 300")
    plan = changed(plan, env={**plan.env, "TOKEN": "s3cret-token"})
    executor = bench.make()
    executor.start(plan)
    wait_for_output(plan, executor, b"up\n")
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    executor.clean(plan)
    assert any(b"--json-status-fd" in line for line in lines)
    assert not any(b"s3cret-token" in line for line in lines)
    assert (Path(plan.directory) / "bwrap.options").stat().st_mode & 0o077 == 0


def test_paths_can_be_lent_for_reading(bench: Bench, tmp_path: Path) -> None:
    """A mirror in a hidden place can be read where the plan says so, and not written."""
    mirror = bench.directory / "mirror"
    mirror.mkdir()
    (mirror / "objects").write_text("all")
    plan = bench.plan("sh", "-c", f"cat '{mirror}/objects'; touch '{mirror}/x' 2>/dev/null || echo no")
    bench.run(changed(plan, read_only=(str(mirror),)))
    assert output(plan) == b"allno\n"


def test_a_program_that_the_sandbox_hides_is_passed_over(bench: Bench) -> None:
    """The next one on PATH is run, as the build's own shell would; where there is none, the reason is told."""
    (bench.directory / "true").write_text("#!/bin/sh\nexit 3\n")
    (bench.directory / "mine").symlink_to("true")
    (bench.directory / "true").chmod(0o755)
    plan = bench.plan("true")
    path = {"PATH": f"{bench.directory}:/usr/bin:/bin"}
    assert bench.run(changed(plan, env=plan.env | path)).exit.status == 0
    plan = bench.plan("mine")
    ended = bench.run(changed(plan, env=plan.env | path, executor="bwrap"))
    assert ended.exit.status == 127
    assert f"the executor bwrap hides '{bench.directory}/mine' from builds" in output(plan, "err").decode()


def test_without_a_sandbox_nothing_runs(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the kernel refuses, start fails with the kernel's words, and the command has not run."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "bwrap").write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    (fake / "bwrap").chmod(0o755)
    plan = bench.plan("sh", "-c", "touch ran")
    executor = bench.make()
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
    with pytest.raises(Errored, match="uid map: Permission denied"):
        executor.start(plan)
    assert not (Path(plan.workspace) / "ran").exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install bubblewrap" in executor.probe().reason


def test_a_sandbox_that_fails_later_is_the_systems_fault(bench: Bench) -> None:
    """If the probe passed and the sandbox still cannot be made, that is told; it is not the job's failure."""
    plan = bench.plan("true")
    ended = bench.run(changed(plan, env={**plan.env, "HOME": "/none/such"}))
    assert ended.error.startswith("cannot make the sandbox: bwrap: ")
    assert "/none/such" in ended.error


def test_what_the_sandbox_used_is_counted(bench: Bench) -> None:
    """bwrap does not wait for its namespace, and yet the processor time is the command's."""
    ended = bench.run(bench.plan("sh", "-c", "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; exit 3"))
    assert ended.exit.status == 3
    assert ended.usage.cpu_ms > 50
