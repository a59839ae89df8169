"""Artifacts of upstream builds that this node made: found among its attempts, put into a workspace, verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from citgit.errors import Errored, NotFound, Refused
from citgit.model.names import is_oid
from citgit.model.plan import Input

_BLOCK = 1 << 20


def find(homes: Iterable[Path], wanted: Input) -> Path | None:
    """The kept copy of the file below one of the workers' homes; None if this node does not have it."""
    if not is_oid(wanted.claim) or not _parts(wanted):
        return None
    for home in homes:
        path = home / "attempts" / wanted.claim / "artifacts" / wanted.path
        try:
            if path.is_file() and path.stat().st_size == wanted.size:
                return path
        except OSError:
            continue
    return None


def bring(homes: Sequence[Path], workspace: Path, inputs: Iterable[Input]) -> None:
    """Puts each file where it was in its own workspace, in place of what the checkout has there.

    Raises NotFound if this node does not have one, Refused if its content is not what its result says or a link
    leads out of the workspace, Errored if two upstream builds made different files of one path.
    """
    made: dict[str, Input] = {}
    for one in inputs:
        before = made.setdefault(one.path, one)
        if before.sha256 != one.sha256:
            raise Errored(f"artifact {one.path!r} comes from {before.label} and from {one.label}, and they differ")
        kept = find(homes, one)
        if kept is None:
            raise NotFound(f"artifact {one.path!r} of {one.label} is not on this node any more")
        _copy(kept, workspace, one)


def _copy(kept: Path, workspace: Path, wanted: Input) -> None:
    *folders, name = _parts(wanted)
    digest, size = hashlib.sha256(), 0
    with _folder(workspace, folders, wanted) as parent, open(kept, "rb") as source:
        scratch = f".cit-{wanted.sha256[:16]}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        handle = os.open(scratch, flags, 0o755 if wanted.executable else 0o644, dir_fd=parent)
        try:
            with open(handle, "wb") as target:
                while block := source.read(_BLOCK):
                    size += len(block)
                    digest.update(block)
                    target.write(block)
            if (digest.hexdigest(), size) != (wanted.sha256, wanted.size):
                raise Refused(f"artifact {wanted.path!r} of {wanted.label} is not what its result says: it was changed")
            os.rename(scratch, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(scratch, dir_fd=parent)
            raise


@contextmanager
def _folder(workspace: Path, folders: Sequence[str], wanted: Input) -> Iterator[int]:
    """The folder below the workspace, made where it is missing; no link on the way is followed."""
    handle = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for folder in folders:
            try:
                below = _enter(handle, folder)
            except OSError as error:
                where = f"artifact {wanted.path!r} of {wanted.label}"
                raise Refused(f"cannot put {where} into the workspace: {folder!r}: {error.strerror}") from error
            os.close(handle)
            handle = below
        yield handle
    finally:
        os.close(handle)


def _enter(handle: int, folder: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(folder, flags, dir_fd=handle)
    except FileNotFoundError:
        os.mkdir(folder, 0o755, dir_fd=handle)
        return os.open(folder, flags, dir_fd=handle)


def _parts(wanted: Input) -> list[str]:
    """The parts of the path; none if it is no plain path below a workspace, or reaches into git's own files."""
    path = PurePosixPath(wanted.path)
    plain = wanted.path == str(path) and path.parts and not path.is_absolute() and wanted.path.isprintable()
    return list(path.parts) if plain and not {".", "..", ".git"} & set(path.parts) else []
