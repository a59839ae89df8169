"""What finished builds left goes when its time has come; what runs stays, whatever else happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from citgit.model.job import Job, Keep
from citgit.model.record import Cause, Config, PinnedSource, Request
from citgit.programs.cit import main
from citgit.workspaces import kept
from citgit.workspaces.kept import CLEAN, Attempt, unfinished
from citgit.workspaces.tidy import DAY, dangling, leftovers, remove
from citgit.workspaces.workshop import NodeWorkshop

NOW = 1_800_000_000


def attempt(home: Path, number: int, *, ended: int | None, days: int = 30, size: int = 1000) -> tuple[Path, Path]:
    """An attempt and its workspace; `ended` days ago, None if it runs."""
    build = f"01890000-0000-7000-8000-{number:012d}"
    directory, workspace = home / "attempts" / f"{number:040x}", home / "workspaces" / build
    request = Request(
        job="check", branch="main", config=Config(branch="main", commit="a" * 40), cause=Cause(),
        definition=Job(command=("true",), keep=Keep(days=days)), sources=(PinnedSource(ref="main", commit="a" * 40),),
    )  # fmt: skip
    (directory / "log").mkdir(parents=True)
    (workspace / "sub").mkdir(parents=True)
    (directory / "attempt.json").write_bytes(
        msgspec.json.encode(Attempt(build=build, claim=directory.name, request=request, number=1))
    )
    (directory / "log" / "out").write_bytes(b"x" * size)
    (workspace / "sub" / "file").write_bytes(b"x" * size)
    (home / "by-name").mkdir(exist_ok=True)
    (home / "by-name" / f"check@{number}").symlink_to(workspace)
    if ended is not None:
        (directory / CLEAN).touch()
        os.utime(directory / CLEAN, (NOW - ended * DAY, NOW - ended * DAY))
    return directory, workspace


def test_files_go_when_their_days_are_over(tmp_path: Path) -> None:
    """Each job says for how long; what still runs is never listed."""
    old, short, fresh = (attempt(tmp_path, at, ended=ended, days=days) for at, ended, days in
                         ((1, 31, 30), (2, 3, 2), (3, 29, 30)))  # fmt: skip
    running = attempt(tmp_path, 4, ended=None)
    found = leftovers(tmp_path, NOW)
    assert {one.path for one in found} == {*old, *short}
    assert all(remove(one) for one in found)
    assert not any(path.exists() for path in (*old, *short))
    assert all(path.exists() for path in (*fresh, *running))
    assert sorted(link.name for link in dangling(tmp_path)) == ["check@1", "check@2"]
    assert leftovers(tmp_path, NOW) == []
    assert {one.path for one in leftovers(tmp_path, NOW, days=1)} == set(fresh)


def test_a_cap_takes_the_oldest(tmp_path: Path) -> None:
    """Beyond the cap the oldest goes first, its workspace before its log; not what ended within the hour."""
    first, second = (attempt(tmp_path, at, ended=ended, size=100_000) for at, ended in ((1, 5), (2, 1)))
    just_now = attempt(tmp_path, 3, ended=0, size=100_000)
    found = leftovers(tmp_path, NOW, cap=450_000)
    assert [one.path for one in found] == [first[1], first[0]]
    found = leftovers(tmp_path, NOW, cap=0)
    assert [one.path for one in found] == [first[1], first[0], second[1], second[0]]
    assert all(path.exists() for path in just_now)


def test_half_an_attempt_is_no_attempt(tmp_path: Path) -> None:
    """A removal that was cut off is finished by the next one, and no worker takes its rest for a running attempt."""
    directory, _ = attempt(tmp_path, 1, ended=40)
    directory.rename(directory.with_name(f".tidied-{directory.name}"))
    (found,) = [one for one in leftovers(tmp_path, NOW) if one.kind == "attempt"]
    assert remove(found)
    assert not list((tmp_path / "attempts").iterdir())


def test_workspaces_of_no_attempt_wait_a_day(tmp_path: Path) -> None:
    """A worker makes the workspace after the attempt; what nobody knows is not younger than a day."""
    orphan = tmp_path / "workspaces" / "01890000-0000-7000-8000-000000000009"
    orphan.mkdir(parents=True)
    (tmp_path / "attempts").mkdir()
    os.utime(orphan, (NOW - 60, NOW - 60))
    assert leftovers(tmp_path, NOW) == []
    os.utime(orphan, (NOW - 2 * DAY, NOW - 2 * DAY))
    assert [one.path for one in leftovers(tmp_path, NOW)] == [orphan]


def test_removing_follows_no_link_and_insists(tmp_path: Path) -> None:
    """A build may leave links out of its workspace and folders that nobody may write."""
    _, workspace = attempt(tmp_path, 1, ended=40)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("stays")
    (workspace / "out").symlink_to(precious)
    (workspace / "sub").chmod(0o500)
    assert all(remove(one) for one in leftovers(tmp_path, NOW))
    assert not workspace.exists()
    assert (precious / "file").read_text() == "stays"


def test_the_verb_tells_before_it_acts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run lists the same and removes nothing; --json ends with the total."""
    directory, workspace = attempt(tmp_path, 1, ended=0)
    past = time.time() - 40 * DAY
    os.utime(directory / CLEAN, (past, past))
    assert main(["tidy", "--home", str(tmp_path), "--dry-run", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["kind"] for one in told] == ["workspace", "attempt", "total"]
    assert workspace.exists()
    assert main(["tidy", "--home", str(tmp_path), "--json"]) == 0
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["kind"] for one in again] == ["workspace", "attempt", "link", "total"]
    assert again[-1]["bytes"] == told[-1]["bytes"] > 0
    assert not workspace.exists()
    assert not directory.exists()


def test_help_has_an_example() -> None:
    """As every verb's."""
    argv = [sys.executable, "-m", "citgit.programs.cit", "tidy", "--help"]
    assert "Example: cit tidy" in subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def opened(home: Path) -> NodeWorkshop:
    """A worker's workshop that starts now; nothing is fetched or run."""
    return NodeWorkshop(home, "self", None, {}, None)  # type: ignore[arg-type]


def test_a_start_reads_what_is_open_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hundred attempts that ended cost a worker, and each small program, nothing."""
    for number in range(300):
        attempt(tmp_path, number, ended=1)
    running, _ = attempt(tmp_path, 1000, ended=None)
    made = opened(tmp_path)  # a home of an earlier version, which had no list
    assert set(made.running()) == {running.name}
    looked: list[Path] = []
    load = kept.load
    monkeypatch.setattr(kept, "load", lambda path, kind: looked.append(path) or load(path, kind))
    assert sorted(opened(tmp_path).running()) == [running.name]
    assert [path.parent.name for path in looked] == [running.name]
    assert [one.name for one in (tmp_path / "open").iterdir()] == [running.name]


def test_what_ended_is_open_no_more(tmp_path: Path) -> None:
    """Publishing closes it; a list that a crash left behind lets nothing that ended come back."""
    running, _ = attempt(tmp_path, 1, ended=None)
    ended, _ = attempt(tmp_path, 2, ended=1)
    made = opened(tmp_path)
    (tmp_path / "open" / ended.name).touch()
    (tmp_path / "open" / ("f" * 40)).touch()  # a worker that died before it wrote what the attempt is for
    assert set(unfinished(tmp_path)) == {running.name}
    made._tools = type("Tools", (), {"over": staticmethod(lambda log: None)})()
    made.finish(running.name)
    assert unfinished(tmp_path) == {}
    assert running.name not in {one.name for one in (tmp_path / "open").iterdir()}
