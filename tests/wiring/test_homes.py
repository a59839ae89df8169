"""Whose files on a node are read: git runs what the configuration of a repository names, so only one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from citgit.errors import Refused
from citgit.wiring.homes import homes
from citgit.workspaces.home import About, describe


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """What a worker keeps, as far as it matters here."""
    made = tmp_path / "lab1"
    (made / "state.git").mkdir(parents=True, mode=0o700)
    made.chmod(0o700)
    describe(made, About(url="ssh://host/x.git", actor="agent:lab1", source="ssh://host/x.git"))
    return made


def test_ones_own_are_read(home: Path) -> None:
    """The usual case."""
    assert [one.name for one in homes([home])] == ["lab1"]


@pytest.mark.parametrize("part", [".", "state.git"])
def test_what_others_may_write_is_not(home: Path, part: str) -> None:
    """Neither the home nor its repository."""
    (home / part).chmod(0o777)
    with pytest.raises(Refused, match="no worker's home of this user alone"):
        homes([home])


@pytest.mark.skipif(os.geteuid() != 0, reason="privileged: gives a folder away, which only root can")
@pytest.mark.parametrize("part", [".", "state.git"])
def test_somebody_elses_are_not(home: Path, part: str) -> None:
    """A record names a path, and what is there may be anybody's."""
    os.chown(home / part, 65534, -1)
    with pytest.raises(Refused, match="no worker's home of this user alone"):
        homes([home])


def test_what_is_not_there(tmp_path: Path) -> None:
    """A path that names nothing."""
    with pytest.raises(Refused):
        homes([tmp_path / "none"])
