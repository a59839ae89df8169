"""A fresh checkout whose git never saw anybody's configuration; nothing here runs in it once a build had it."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from citgit.errors import Errored, Refused
from citgit.git.plain import CONFIG, File, write_files
from citgit.git.program import Output, failed, run
from citgit.git.refs import RefFiles
from citgit.interfaces import Oid

# Build trees are thrown away; what matters has been synced in the mirror.
_SETTINGS = ("core.fsync=none", "checkout.defaultRemote=", "core.protectHFS=true", "core.protectNTFS=true")


def fill(target: Path, mirror: Path, commit: Oid, files: Sequence[File] | None, *, timeout: float) -> None:
    """Makes a repository at `target` with HEAD detached at `commit`, borrowing the objects of `mirror`.

    `files` are those of the commit if its tree is plain (`plain.plain_files`), else None.

    It has the mirror's tags (for `git describe`), and no origin, hooks, filters or templates.
    `target` must be empty or absent. Raises Refused if git will not write such files, Errored if it cannot.
    """
    taken = False
    with contextlib.suppress(FileNotFoundError):
        taken = target.is_symlink() or any(os.scandir(target))
    if taken:
        raise Errored(f"cannot check out into {str(target)!r}: it is not empty", hint="name a folder that is new")
    try:
        inside = f"{target}/.git"
        os.makedirs(inside)
        # git makes the others when there is something in them, and each costs as much as a program
        for folder in ("objects", "objects/info", "refs"):
            os.mkdir(f"{inside}/{folder}")
        _put(f"{inside}/HEAD", f"{commit}\n".encode())
        _put(f"{inside}/config", CONFIG.encode())
        _put(f"{inside}/objects/info/alternates", f"{os.path.realpath(mirror)}/objects\n".encode())
        if os.path.exists(mirror / "shallow"):
            shutil.copyfile(mirror / "shallow", f"{inside}/shallow")
        _put(f"{inside}/packed-refs", _tags(mirror))
        if files is not None:
            _put(f"{inside}/index", write_files(target, files))
        else:
            _by_git(target, commit, timeout)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _put(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _by_git(target: Path, commit: Oid, timeout: float) -> None:
    output = run(
        ["checkout", "--quiet", "--force", "--detach", "--no-recurse-submodules", commit, "--"],
        cwd=target,
        timeout=timeout,
        settings=_SETTINGS,
    )
    if output.status:
        raise _told(target, commit, output)


def _tags(mirror: Path) -> bytes:
    """The mirror's tags as a packed-refs file: one write, however many there are."""
    tags = sorted((ref.encode("utf-8", "surrogateescape"), oid) for ref, oid in tags_of(mirror).items())
    return b"".join([b"# pack-refs with: sorted \n", *(oid.encode() + b" " + ref + b"\n" for ref, oid in tags)])


@functools.lru_cache(maxsize=64)
def _tag_files(mirror: Path) -> RefFiles:
    return RefFiles(mirror, "refs/tags/")


def tags_of(mirror: Path) -> dict[str, Oid]:
    """The mirror's tags."""
    return _tag_files(mirror).under("refs/tags/")


def _told(target: Path, commit: Oid, output: Output) -> Refused | Errored:
    if "invalid path" in output.stderr:
        return Refused(
            f"commit {commit[:12]} holds files that git does not write: {output.stderr.strip()[-500:]}",
            hint="remove them from the revision",
        )
    return failed(f"check out {commit[:12]} into {str(target)!r}", output)
