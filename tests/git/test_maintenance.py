"""Repositories of ours are packed without anybody missing an object, and others are left to git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from citgit.git.maintenance import LOOSE, is_ours, look, maintain
from citgit.git.objects import GitObjects, init_bare
from citgit.testing.counting import CountingObjects


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A repository of ours with more loose objects than it should have."""
    place = tmp_path / "state.git"
    init_bare(place, state_only=True)
    objects = GitObjects(place)
    for at in range(LOOSE + 20):
        objects.write("blob", b"%d" % at)
    return place


def test_loose_objects_become_a_pack_and_readers_see_no_gap(store: Path) -> None:
    """Open readers, new readers and plain git find everything after; nothing is left to do."""
    names = [GitObjects(store).write("blob", b"%d" % at) for at in range(LOOSE + 20)]
    reader = CountingObjects(GitObjects(store))
    assert reader.read(names[0])[1] == b"0"
    found = look(store)
    assert found.is_due
    assert found.loose == LOOSE + 20
    assert maintain(store, found)
    now = look(store)
    assert (now.loose, now.packs, now.is_due) == (0, 1, False)
    assert all(reader.read(name)[1] == b"%d" % at for at, name in enumerate(names))
    assert GitObjects(store).has(names[-1])
    assert not GitObjects(store).has("0" * 39 + "1")
    subprocess.run(["git", "-C", str(store), "fsck", "--strict"], check=True, capture_output=True)
    again = GitObjects(store)
    assert again.write("blob", b"7") == names[7]
    assert again.read(names[7]) == ("blob", b"7")


def test_one_at_a_time(store: Path) -> None:
    """Whoever comes second leaves it to the first."""
    import fcntl

    with open(store / "cit-maintenance.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not maintain(store, look(store))
    assert look(store).loose > 0


def test_other_repositories_are_left_to_git(tmp_path: Path, store: Path) -> None:
    """Only where git was told not to collect by itself is that our work."""
    plain = tmp_path / "plain"
    subprocess.run(["git", "init", "-q", str(plain)], check=True)
    assert is_ours(store)
    assert not is_ours(plain / ".git")
    assert not is_ours(tmp_path)
