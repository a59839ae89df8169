"""Workspaces that a unix group may read: real accounts, in the group and not."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import ACCOUNT, READER, Node
from services import Sshd

from citgit.errors import UsageError
from citgit.workspaces.shared import forget_shared, share

pytestmark = pytest.mark.privileged
GROUP = "citgit-dev"
STRANGER = "nobody"
JOBS = """\
[job.make]
command = ["sh", "-c", "umask 022; mkdir -p out; echo made > out/a.txt; echo said"]
keep.artifacts = ["out/*"]
place.executor = "process"
"""


@pytest.fixture
def group(sshd_server: Sshd) -> Iterator[int]:
    """A group in which the service account is, and one reader."""
    subprocess.run(["groupadd", "--force", GROUP], check=True)
    yield grp.getgrnam(GROUP).gr_gid
    subprocess.run(["groupdel", GROUP], check=True)


def can_read(user: str, gid: int | None, path: Path) -> bool:
    """Whether the user, in the group or not, reads a file."""
    known = pwd.getpwnam(user)
    done = subprocess.run(
        ["cat", str(path)], user=known.pw_uid, group=known.pw_gid, extra_groups=[gid] if gid else [],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_the_group_reads_workspaces_and_nothing_else(
    sshd: Sshd, group: int, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Members read the checkout and what the build made, by the job's name too; strangers, logs and keys: no."""
    with sshd.folder() as folder:
        node = Node(folder, sshd, monkeypatch, JOBS)
        place = folder / "srv"
        place.mkdir()
        sshd.give(place, ACCOUNT)
        known = pwd.getpwnam(ACCOUNT)
        real = subprocess.Popen

        def as_member(argv: list[str], **how: object) -> subprocess.Popen[bytes]:
            return real(argv, **{**how, **({"extra_groups": [group]} if how.get("user") == ACCOUNT else {})})  # type: ignore[call-overload,no-any-return]

        node.site.cit("run", "make", "--pool", "default", "--no-follow", "--no-probe", "--json")
        monkeypatch.setattr(subprocess, "Popen", as_member)
        with node.worker("lab1", ACCOUNT, "--once", "--shared", str(place / "lab1"), "--group", GROUP) as process:
            assert process.wait(timeout=240) == 0
        monkeypatch.undo()
        made = next((place / "lab1" / "workspaces").iterdir())
        named = place / "lab1" / "by-name" / "make@main"
        for path in (made / "cit.toml", made / "out" / "a.txt", named / "out" / "a.txt", made / ".git" / "HEAD"):
            assert path.stat().st_gid == group, path
            assert can_read(READER, group, path), path
            assert not can_read(READER, None, path), path
            assert not can_read(STRANGER, None, path), path
        home = node.home
        kept = [path for path in home.rglob("*") if path.is_file() and "workspaces" not in path.parts]
        assert [path for path in kept if path.name in ("out", "log.pack", "result.json", "a.txt")]
        assert not [path for path in kept if can_read(READER, group, path)][:3]
        assert home.stat().st_mode & 0o777 == 0o700
        assert known.pw_uid == made.stat().st_uid
        forget_shared(home)
        assert list((place / "lab1").iterdir()) == []


def test_a_folder_that_cannot_be_shared_is_refused(group: int, tmp_path: Path) -> None:
    """Each reason is told: no such group, not ours, not empty, nobody could get there."""
    home = tmp_path / "home"
    (home / "workspaces" / "old").mkdir(parents=True)
    with pytest.raises(UsageError, match="no group 'citgit-none'"):
        share(home, tmp_path / "s", "citgit-none")
    with pytest.raises(UsageError, match="not an absolute path"):
        share(home, Path("s"), GROUP)
    with pytest.raises(UsageError, match="there are workspaces"):
        share(home, tmp_path / "s", GROUP)
    shutil.rmtree(home / "workspaces")
    (tmp_path / "closed").mkdir(mode=0o700)
    with pytest.raises(UsageError, match="the group cannot enter"):
        share(home, tmp_path / "closed" / "s", GROUP)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, pwd.getpwnam(READER).pw_uid, -1)
    with pytest.raises(UsageError, match="not this user's own"):
        share(home, theirs, GROUP)
