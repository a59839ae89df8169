"""What has to be sent to a machine that makes the same checkout: commits, tags, and files that no commit has."""

from __future__ import annotations

import os
from pathlib import Path

from citgit.git.program import must
from citgit.model.plan import Sending, Sent

_MOST_TAGS = 1000


def sending(workspace: Path) -> Sending:
    """The repositories in `workspace`, outer ones first, and the files that are there besides. Raises GitFailed."""
    sent: list[Sent] = []
    files: list[str] = []
    for folder, names, inner in os.walk(workspace):
        if ".git" in names or ".git" in inner:
            at = Path(folder).relative_to(workspace).as_posix()
            sent.append(_sent(Path(folder), at))
            files += (name if at == "." else f"{at}/{name}" for name in _besides(Path(folder)))
        names[:] = sorted(name for name in names if name != ".git")
    return Sending(sources=tuple(sent), files=tuple(files))


def _sent(top: Path, at: str) -> Sent:
    git_dir = top / ".git"
    commit = must(["rev-parse", "HEAD"], git_dir=git_dir, doing="read the checkout").stdout.decode().strip()
    listed = must(
        [
            "for-each-ref", f"--count={_MOST_TAGS}", "--sort=-creatordate", f"--merged={commit}",
            "--format=%(objectname) %(refname)", "refs/tags/",
        ],
        git_dir=git_dir, doing="list the tags",
    ).stdout.decode("utf-8", "surrogateescape")  # fmt: skip
    tags = sorted((ref, oid) for oid, _, ref in (line.partition(" ") for line in listed.splitlines()))
    return Sent(at=at, commit=commit, tags=tuple(f"{oid} {ref}" for ref, oid in tags))


def _besides(top: Path) -> list[str]:
    """Files that are not as the commit has them, those that git would ignore too; a repository in it is its own."""
    listed = must(
        ["ls-files", "-z", "--others", "--modified"], git_dir=top / ".git", cwd=top, doing="list the files"
    ).stdout.decode("utf-8", "surrogateescape")
    names = dict.fromkeys(name for name in listed.split("\0") if name and not name.endswith("/"))
    return [name for name in names if (top / name).is_file() or (top / name).is_symlink()]
