"""What the channel's server lists is what git has, whoever changes refs and however: listed once, then followed."""

from __future__ import annotations

import ctypes
import errno
import select
import sys
from pathlib import Path

import pytest

from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.records.commit import unsigned
from citgit.wiring.serve import _Refs

ROOT = "refs/cit/"
ONE, TWO = (f"refs/cit/builds/linux/01932c07-3a80-7000-8000-00000000000{digit}" for digit in "12")
OTHER = "refs/cit/builds/other/01932c07-3a80-7000-8000-000000000001"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


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


def test_every_change_is_followed(place: Path) -> None:
    """Made with its folders, moved on, packed, deleted with its folders, made again: told at once, listed right."""
    first, second = commit(place), commit(place, "second")
    refs = _Refs(place, ROOT)
    assert refs.under(ROOT) == {}
    refs.drain()
    for command in (
        ["update-ref", "--", ONE, first],
        ["update-ref", "--", TWO, first],
        ["update-ref", "--", ONE, second],
        ["pack-refs", "--all", "--prune"],
        ["update-ref", "-d", "--", ONE],
        ["update-ref", "--", TWO, second],
        ["update-ref", "-d", "--", TWO],
        ["update-ref", "--", OTHER, first],
        ["update-ref", "--", ONE, first],
        ["pack-refs", "--all", "--prune"],
        ["update-ref", "--", ONE, second],
        ["update-ref", "-d", "--", OTHER],
    ):
        must(command, git_dir=place, doing="change a ref")
        listing = must(["for-each-ref", "--format=%(refname) %(objectname)", ROOT], git_dir=place, doing="list")
        expected = dict(line.split(" ") for line in listing.stdout.decode().splitlines())
        assert select.select([refs.fileno()], [], [], 5)[0], command
        assert refs.drain(), command
        assert refs.under(ROOT) == expected, command
        assert not refs.drain(), command


def test_other_names_do_not_wake(place: Path) -> None:
    """A pushed branch, a lock and an object are no news."""
    first = commit(place)
    must(["update-ref", "--", ONE, first], git_dir=place, doing="make a ref")
    refs = _Refs(place, ROOT)
    assert refs.under(ROOT) == {ONE: first}
    refs.drain()
    must(["update-ref", "--", "refs/heads/main", first], git_dir=place, doing="make a branch")
    commit(place, "more")
    (place / f"{ONE}.lock").touch()
    (place / f"{ONE}.lock").unlink()
    assert not refs.drain()


class Full:
    """A libc whose kernel has no watch left for folders of builds."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        self._libc = libc

    def inotify_add_watch(self, handle: int, path: bytes, wanted: int) -> int:
        """As the real one, or ENOSPC."""
        if b"builds" in path:
            ctypes.set_errno(errno.ENOSPC)
            return -1
        return int(self._libc.inotify_add_watch(handle, path, wanted))


def test_a_system_out_of_watches(place: Path) -> None:
    """Where the system gives no further watch, refs are listed each time, and nobody waits for events."""
    refs = _Refs(place, ROOT)
    refs._watch._libc = Full(refs._watch._libc)  # type: ignore[assignment, arg-type]
    for oid in (commit(place), commit(place, "second")):
        must(["update-ref", "--", ONE, oid], git_dir=place, doing="make a ref")
        assert refs.under(ROOT) == {ONE: oid}
        assert refs.fileno() == -1


def test_a_repository_that_is_moved_away(place: Path) -> None:
    """It is an error, and not a repository without refs."""
    first = commit(place)
    must(["update-ref", "--", ONE, first], git_dir=place, doing="make a ref")
    refs = _Refs(place, ROOT)
    assert refs.under(ROOT) == {ONE: first}
    place.rename(place.with_name("away.git"))
    with pytest.raises(FileNotFoundError):
        refs.under(ROOT)
    with pytest.raises(FileNotFoundError):
        refs.read(ONE)
