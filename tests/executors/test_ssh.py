"""The executor `ssh`: builds at an account behind a real sshd that has git and a shell, and no Python."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from board import USER, Board, BoardBench, board, checkout
from programs.site import Site, make_site
from world import until

from citgit.errors import Errored, UsageError
from citgit.executors import brought
from citgit.interfaces import Executor
from citgit.keys.generate import generate
from citgit.model.plan import Plan
from citgit.ssh.target import TargetHost
from citgit.testing.executors import output, survivors, wait, wait_for_output

JOBS = """\
[job.board]
command = ["sh", "board.sh"]
keep = { artifacts = ["out/*", "none/*"], junit = ["tests.xml"] }

[job.next]
command = ["sh", "-c", "cat out/kept.txt; test -x out/run"]
after.board.artifacts = ["out/*"]
"""
SCRIPT = """\
command -v python3 && exit 9
command -v python && exit 9
test "$(id -un) $CIT_NODE $PWD" = "citgit-board $CIT_NODE $CIT_WORKSPACE" || exit 8
git status --porcelain | grep . && exit 7
git describe --tags --exact-match || exit 6
set -e
mkdir out && echo kept > out/kept.txt && ln -s /etc/passwd out/link && cp board.sh out/run && chmod +x out/run
echo '<testsuite><testcase name="a"/></testsuite>' > tests.xml
"$CIT_TOOLS/cit-component" part -- echo in a part
test -z "$SSH_CONNECTION" || exit 5
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A machine for all tests."""
    with board(tmp_path_factory.mktemp("board")) as made:
        yield made


@pytest.fixture
def bench(there: Board, tmp_path: Path) -> BoardBench:
    """A bench there."""
    made = BoardBench(there.executor, tmp_path / "bench")
    made.board = there
    return made


@pytest.mark.privileged
def test_a_pipeline_is_built_without_python(there: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked out, built, its log, parts, files and test results brought back, handed on to the job after it."""
    site = make_site(tmp_path, monkeypatch, None, JOBS)
    public = generate(tmp_path / "citgit" / "keys" / "lab1", "lab1")
    agent = f'\n[agent.lab1]\nkey = "{public}"\n'
    site.commit("a script", board_sh=SCRIPT, team_toml=(site.top / "team.toml").read_text() + agent)
    site.git("tag", "v1")
    site.git("push", "-q", "--no-verify", "origin", "main", "v1")
    site.cit("policy", "publish")
    ask = ("--pool", "default", "--no-follow", "--json", "--no-probe")
    site.cit("run", "next", *ask)
    options = ["--target", there.login, "--target-key", str(there.sshd.key), "--target-host-key", there.host_key]
    told = [_work(site, options) for _ in range(2)]
    shown = site.cit("show", "board", "--json", status=None).documents[0]
    assert shown["outcome"] == "passed", (shown["result"], told, site.cit("log", "board", status=None))
    assert (site.cit("show", "next", "--json").documents[0]["outcome"], site.cit("log", "next").out) == (
        "passed",
        "kept\n",
    )
    result = shown["result"]
    assert [(one["path"], one.get("executable", False)) for one in result["artifacts"]] == [
        ("out/kept.txt", False), ("out/run", True),
    ]  # fmt: skip
    assert (result["tests"]["total"], [one["path"] for one in result["components"]]) == (1, ["part"])
    assert (result["environment"]["executor"], result["environment"]["target"]) == ("ssh", there.login)
    assert result.get("assurance", "self") == "self"
    assert "in a part" in site.cit("log", "board", "part").out
    # the room is given up but for the checkout; what it was told, secrets too, is gone
    left = ("home", "tmp", "own/command")
    rooms = list((there.home / ".cit-target/rooms").iterdir())
    assert rooms
    assert [room / part for room in rooms for part in left if (room / part).exists()] == []
    assert (there.home / ".cit-target").stat().st_mode & 0o777 == 0o700
    # once it names another host's key nothing is sent
    other = there.host_key.split()[1]
    options[-1] = f"ssh-ed25519 {other[:-6]}AAAAAA"
    site.cit("run", "board", *ask)
    _work(site, options)
    assert "cannot log in" in site.cit("why", status=None).out


def _work(site: Site, options: list[str]) -> str:
    """One worker's life: it builds what waits; what it said."""
    worker = [sys.executable, "-m", "citgit.programs.cit", "worker", "--agent", "lab1", "--own", "--once", "--no-doors"]
    done = subprocess.run([*worker, *options], cwd=site.top, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.privileged
def test_a_checkout_is_made_as_it_is_here(bench: BoardBench) -> None:
    """Other sources in folders of it, tags, and files that came from elsewhere, whatever their names."""
    plan = bench.plan(
        "sh", "-c", "git describe --tags; cat 'a b/in $(id)'; cat data/x; git -C data log --oneline | wc -l"
    )
    laid = Path(plan.laid)
    subprocess.run(["git", "-C", str(laid), "tag", "v7"], check=True)
    checkout(laid / "data", {"x": "other source\n"})
    (laid / "a b").mkdir()
    (laid / "a b" / "in $(id)").write_text("brought\n")
    ended = bench.run(plan)
    assert (ended.exit.status, ended.error) == (0, ""), (ended, output(plan, "err"))
    assert output(plan) == b"v7\nbrought\nother source\n1\n"


@pytest.mark.privileged
def test_what_is_not_there_is_told(bench: BoardBench) -> None:
    """A command that cannot be run, in words that say why; secrets of its environment are no arguments there."""
    told = {
        ("./none",): "no such file", ("./README",): "is not executable", ("nothing-like-it",): "not found in PATH",
    }  # fmt: skip
    for command, why in told.items():
        plan = bench.plan(*command)
        ended = bench.run(plan)
        assert (ended.exit.status, why in ended.error) == (127, True), ended
        assert why.encode() in output(plan, "err")
    plan = bench.plan("sh", "-c", "echo up; sleep 60")
    plan.env["SECRET"] = "s3cr3t'$(id)"
    executor = bench.make()
    executor.start(plan)
    wait_for_output(plan, executor, b"up\n")
    lines = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if "s3cr3t" in line]
    executor.stop(plan, "enough")
    assert "enough" in wait(executor, plan).error


@pytest.mark.privileged
def test_a_connection_that_is_cut_ends_the_build(bench: BoardBench) -> None:
    """The end is told as the system's fault, and nothing runs on there."""
    plan, executor = _running(bench)
    for one in psutil.process_iter(["name", "username"]):
        if one.info["name"] == "sshd" and one.info["username"] == USER:
            one.kill()
    ended = wait(executor, plan, 90)
    assert "lost: the connection to" in ended.error
    until("the build to end there", lambda: not survivors(plan), 20)


@pytest.mark.privileged
def test_beats_that_stay_away_end_the_build(bench: BoardBench) -> None:
    """A worker's machine that is gone without a word: the target waits its lease, then ends what is left."""
    bench.make = lambda: bench.board.executor(lease=2)
    plan, executor = _running(bench)
    ended = wait(executor, plan)
    assert "lost: the connection to" in ended.error
    assert survivors(plan) == []


@pytest.mark.privileged
def test_a_target_that_is_away_holds_nobody(bench: BoardBench) -> None:
    """A build that runs while its target goes away for good gets its end, and the probe says why."""
    plan, executor = _running(bench)
    bench.board.sshd.die()
    try:
        ended = wait(executor, plan, 120)
        assert ended.error.startswith("lost: "), ended
        why = bench.board.target().probe().reason
        assert "cannot log in" in why
    finally:
        bench.board.sshd.listen()


def _running(bench: BoardBench) -> tuple[Plan, Executor]:
    plan = bench.plan("sh", "-c", "(setsid sleep 300 &); echo up; trap '' HUP TERM; while :; do sleep 1; done")
    executor = bench.make()
    executor.start(plan)
    wait_for_output(plan, executor, b"up\n")
    return plan, executor


@pytest.mark.privileged
def test_a_target_says_what_it_lacks(there: Board) -> None:
    """The probe names each program, and a folder that cannot be; nothing was started."""
    for name in ("git", "tar"):
        (there.path / name).rename(there.path / f"no-{name}")
    try:
        assert "lacks the program git, the program tar" in there.target().probe().reason
    finally:
        for name in ("git", "tar"):
            (there.path / f"no-{name}").rename(there.path / name)
    assert "cannot make the folder" in there.target("/etc/cit-target").probe().reason
    for odd in ("a b", "$(id)", "", "x;y"):
        assert "not a folder for a target" in there.target(odd).probe().reason
    machine = there.target().machine(None)
    assert (machine.os, machine.arch, "gcc" in machine.tools) == ("linux", os.uname().machine, False)
    assert machine.tools["git"].count(".") >= 1
    assert machine.memory > 1 << 20


@pytest.mark.privileged
def test_old_rooms_are_given_up(bench: BoardBench) -> None:
    """The checkout of a build stays until the next one; one that still runs is not touched."""
    first = bench.plan("sh", "-c", "mkdir -p shut/in && touch shut/in/x && chmod 000 shut")
    bench.run(first)
    target = bench.board.target()
    target.words("over", Path(first.workspace).parent.name)
    assert Path(first.workspace).is_dir()
    second, executor = _running(bench)
    bench.run(bench.plan("true"))
    assert not Path(first.workspace).exists()
    assert Path(second.workspace).is_dir()
    executor.stop(second, "over")
    wait(executor, second)


@pytest.mark.parametrize(
    "login", ["-oProxyCommand=x@h", "", "a b", "x@-oA=b", "host\nx", "x@h:70000000", "h;id", "a@h/../x"]
)
def test_a_login_is_no_option(login: str, tmp_path: Path) -> None:
    """What is no login at a host is refused before ssh is started."""
    if login == "h;id":
        assert TargetHost(login, tmp_path).argv("true")[-2:] == [login, "true"]  # one word, of no shell
        return
    with pytest.raises(UsageError):
        TargetHost(login, tmp_path)


STREAMS = [
    b"", b"3 - a", b"3 - a\nab", b"3 - b\nabc", b"3 - ../a\nabc", b"3 - /etc/x\nabc", b"-1 - a\n", b"3  - a\nabc",
    b"3 - a\nabcX - b\n", b"3 x\n", b"\0" * 100, b"9999999999999999 - a\n", b"1000 - a\n" + b"x" * 1000, b"a" * 20_000,
    b"3 - a\r\nabc", b"3 y a\nabc", b"0x3 - a\nabc", b"3 - A\nabc", b"- x a\n3 - a\nabc", b"3 - a\x00\nabc",
]  # fmt: skip


@pytest.mark.parametrize("stream", STREAMS)
def test_a_target_cannot_choose_what_is_written(stream: bytes, tmp_path: Path) -> None:
    """Whatever it sends, files have the names that were asked for, below the folder, and no more than was allowed."""
    folder = tmp_path / "in"
    folder.mkdir()
    wanted = [(name, folder / name) for name in ("a", "b")]
    with pytest.raises(Errored):
        brought.land(io.BytesIO(stream), wanted, 100)  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.rglob("*")} <= {"in", "a", "b"}


def test_what_is_in_the_way_is_not_followed(tmp_path: Path) -> None:
    """A link at the place of a file is an error, and what it leads to stays as it was."""
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "a").symlink_to(tmp_path / "kept")
    with pytest.raises(OSError, match="exists"):
        brought.land(io.BytesIO(b"3 - a\nabc"), [("a", tmp_path / "a")], 100)  # type: ignore[arg-type]
    assert (tmp_path / "kept").read_text() == "kept"
