"""The tree of a log: what is a component, where it may be, and in which order they come."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from citgit.errors import NotFound
from citgit.logs.capture import Capture
from citgit.logs.local import LocalLog
from citgit.logs.read import read
from citgit.logs.tree import component, failures, recorded
from citgit.model.record import Component, Exit


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A component without output or parts."""
    Capture().begin(tmp_path / "log", "", 1000)
    return tmp_path / "log"


def part(log: Path, path: str, started: int, status: int = 0) -> Path:
    """A component at `path` that ended 10 ms after its start."""
    place = log.joinpath(*(one for name in path.split("/") for one in ("parts", name)))
    Capture().begin(place, path, started)
    Capture().finish(place, started + 10, Exit(status=status), 10**6)
    return place


def test_components_come_in_their_order(log: Path) -> None:
    """The tree is listed from the root, parts after their whole, older ones first; links are no components."""
    for path, started in (("b", 5), ("a", 9), ("b/x", 6), ("out", 12)):
        part(log, path, started)
    (log / "parts" / "loop").symlink_to(log)
    (log / "parts" / "plain").mkdir()
    assert [node.path for node in LocalLog(log).nodes()] == ["", "b", "b/x", "a", "out"]
    assert component(log, "b/x") == log / "parts" / "b" / "parts" / "x"


@pytest.mark.parametrize("path", ["..", "b/..", "/etc", "loop", "b//x", "none", "parts", "err", "\0"])
def test_a_component_is_never_outside(log: Path, path: str) -> None:
    """Names that lead elsewhere, and links, are not found."""
    part(log, "b/x", 5)
    (log / "parts" / "loop").symlink_to(log)
    with pytest.raises(NotFound):
        component(log, path)


def test_what_failed_first_at_the_bottom_comes_first(log: Path) -> None:
    """Of failed components those without failed parts, by their ends; records keep them whatever else they drop."""
    for path, started, status in (("lib", 1, 2), ("lib/src", 2, 2), ("app", 30, 1), ("doc", 3, 0)):
        part(log, path, started, status)
    assert [node.path for node in failures(LocalLog(log).nodes())] == ["lib/src", "app", "lib"]
    assert recorded(LocalLog(log).nodes())[0] == Component(path="lib", outcome="failed", ms=10)
    for at in range(200):
        part(log, f"n{at}", 100 + at, status=int(at == 199))
    kept = recorded(LocalLog(log).nodes())
    assert len(kept) == 100
    assert {"lib", "lib/src", "app", "n199"} <= {one.path for one in kept}


def test_marks_follow_nothing_that_a_build_planted(log: Path, tmp_path: Path) -> None:
    """Links, pipes and directories in the place of streams and marks are neither written nor waited for."""
    good = part(log, "good", 5)
    (good / "out").write_text("12345")
    victim = tmp_path / "victim"
    victim.write_text("")
    for at, plant in enumerate([lambda to: to.symlink_to(victim), os.mkfifo, os.mkdir]):
        bad = part(log, f"bad{at}", 6)
        for name in ("times", "out"):
            (bad / name).unlink()
            plant(bad / name)
    (log / "parts" / "away").symlink_to(tmp_path)
    assert Capture().parts(log, 7) == 5
    assert (good / "times").read_text() == "7 5 0\n"
    assert victim.read_text() == ""
    for at in range(3):
        assert list(read(LocalLog(log), f"bad{at}")) == []
