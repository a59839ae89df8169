"""What the platform's own events promise: a change of a ref is seen, whoever makes it and however."""

from __future__ import annotations

import select
import sys
import time
from pathlib import Path

import pytest

from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.machine import FolderEvents
from citgit.records.commit import unsigned
from citgit.wiring.serve import _Refs, ref_events

ONE = "refs/cit/builds/linux/01932c07-3a80-7000-8000-000000000001"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def seen(events: FolderEvents) -> bool:
    """Whether something arrives within a moment."""
    return bool(select.select([events.fileno()], [], [], 5)[0]) and events.drain()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A repository without refs."""
    init_bare(tmp_path / "host.git")
    return tmp_path / "host.git"


def commit(place: Path, message: str = "root") -> str:
    """A commit there."""
    data = unsigned(tree="4b825dc642cb6eb9a060e54bf8d69288fbee4904", parents=(), author="anna", mail="anna@lab1",
                    time=1, message=message)  # fmt: skip
    return GitObjects(place).write("commit", data)


def test_refs_made_by_git(place: Path) -> None:
    """Made (with its folders), moved on, packed, deleted (folders and all), made again: each is seen."""
    first, second = commit(place), commit(place, "second")
    events = ref_events(place, "refs/cit/")
    for command in (
        ["update-ref", "--", ONE, first],
        ["update-ref", "--", ONE, second],
        ["pack-refs", "--all", "--prune"],
        ["update-ref", "-d", "--", ONE],
        ["update-ref", "--", ONE, first],
        ["update-ref", "-d", "--", ONE],
        ["update-ref", "--", "refs/cit/builds/other/01932c07-3a80-7000-8000-000000000001", first],
    ):
        must(command, git_dir=place, doing="change a ref")
        assert seen(events), command
        time.sleep(0.02)
        events.drain()
    events.close()


def test_other_refs_and_locks_do_not_wake(place: Path) -> None:
    """A pushed branch, a lock and an object are no news."""
    first = commit(place)
    must(["update-ref", "--", ONE, first], git_dir=place, doing="make a ref")
    events = ref_events(place, "refs/cit/")
    must(["update-ref", "--", "refs/heads/main", first], git_dir=place, doing="make a branch")
    commit(place, "more")
    (place / f"{ONE}.lock").touch()
    (place / f"{ONE}.lock").unlink()
    assert not events.drain()
    events.close()
    assert events.fileno() == -1


def test_a_system_without_more_watches(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no further watch, nobody waits for events that would not come."""
    real = FolderEvents._watch

    def refuse(self: FolderEvents, folder: Path) -> None:
        real(self, folder)
        self._lost = True

    monkeypatch.setattr(FolderEvents, "_watch", refuse)
    assert ref_events(place, "refs/cit/").fileno() == -1


def test_refs_are_followed(place: Path) -> None:
    """What the channel's server lists is what git has, after any change by git, with and without events."""
    first, second = commit(place), commit(place, "second")
    refs = _Refs(place, "refs/cit/")
    blind = _Refs(place, "refs/cit/")
    blind._events.close()
    two, other = ONE[:-1] + "2", "refs/cit/builds/other/01932c07-3a80-7000-8000-000000000001"
    for command in (
        ["update-ref", "--", ONE, first],
        ["update-ref", "--", two, first],
        ["update-ref", "--", ONE, second],
        ["pack-refs", "--all", "--prune"],
        ["update-ref", "-d", "--", ONE],
        ["update-ref", "--", two, second],
        ["update-ref", "-d", "--", two],
        ["update-ref", "--", other, first],
        ["update-ref", "--", ONE, first],
        ["pack-refs", "--all", "--prune"],
        ["update-ref", "--", ONE, second],
        ["update-ref", "-d", "--", other],
    ):
        must(command, git_dir=place, doing="change a ref")
        listing = must(["for-each-ref", "--format=%(refname) %(objectname)", "refs/cit/"], git_dir=place, doing="list")
        expected = dict(line.split(" ") for line in listing.stdout.decode().splitlines())
        assert refs.drain(), command
        assert refs.under("refs/cit/") == blind.under("refs/cit/") == expected, command
        assert not refs.drain(), command
