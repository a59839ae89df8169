"""A fresh checkout whose git never saw anybody's configuration; nothing here runs in it once a build had it."""

from __future__ import annotations

import shutil
from pathlib import Path

from citgit.errors import Errored, Refused
from citgit.git.program import Output, failed, must, run
from citgit.interfaces import Oid

# Build trees are thrown away; what matters has been synced in the mirror.
_SETTINGS = ("core.fsync=none", "checkout.defaultRemote=", "core.protectHFS=true", "core.protectNTFS=true")


def fill(target: Path, mirror: Path, commit: Oid, *, timeout: float) -> None:
    """Makes a repository at `target` with HEAD detached at `commit`, borrowing the objects of `mirror`.

    It has the mirror's tags (for `git describe`), and no origin, hooks, filters or templates.
    `target` must be empty or absent. Raises Refused if git will not write such files, Errored if it cannot.
    """
    if target.is_symlink() or (target.exists() and any(target.iterdir())):
        raise Errored(f"cannot check out into {str(target)!r}: it is not empty", hint="name a folder that is new")
    try:
        must(["init", "--quiet", "--template=", "--", str(target)], doing=f"create {str(target)!r}")
        inside = target / ".git"
        (inside / "objects" / "info").mkdir(exist_ok=True)
        (inside / "objects" / "info" / "alternates").write_text(f"{(mirror / 'objects').resolve()}\n")
        if (mirror / "shallow").is_file():
            shutil.copyfile(mirror / "shallow", inside / "shallow")
        (inside / "packed-refs").write_bytes(_tags(mirror))
        output = run(
            ["checkout", "--quiet", "--force", "--detach", "--no-recurse-submodules", commit, "--"],
            cwd=target,
            timeout=timeout,
            settings=_SETTINGS,
        )
        if output.status:
            raise _told(target, commit, output)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _tags(mirror: Path) -> bytes:
    """The mirror's tags as a packed-refs file: one write, however many there are."""
    listing = must(
        ["for-each-ref", "--format=%(objectname) %(refname) %(*objectname)", "--", "refs/tags/"],
        git_dir=mirror,
        doing="list the tags",
    )
    lines = [b"# pack-refs with: peeled fully-peeled sorted "]
    for line in listing.stdout.split(b"\n"):
        oid, _, rest = line.partition(b" ")
        ref, _, peeled = rest.partition(b" ")
        if ref:
            lines.append(oid + b" " + ref)
        if peeled:
            lines.append(b"^" + peeled)
    return b"\n".join([*lines, b""])


def _told(target: Path, commit: Oid, output: Output) -> Refused | Errored:
    if "invalid path" in output.stderr:
        return Refused(
            f"commit {commit[:12]} holds files that git does not write: {output.stderr.strip()[-500:]}",
            hint="remove them from the revision",
        )
    return failed(f"check out {commit[:12]} into {str(target)!r}", output)
