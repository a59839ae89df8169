"""Puts a file that was made elsewhere below a folder: checked against its digest before it has its name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from citgit.errors import NodeFull, Refused
from citgit.model.names import plain_parts
from citgit.model.plan import Input
from citgit.workspaces.below import folder

_BLOCK = 1 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Landing:
    """A file that is being written: `at` is how much of it is there."""

    def __init__(self, handle: int, wanted: Input, at: int) -> None:
        self._handle, self.wanted = handle, wanted
        self._digest = hashlib.sha256()
        self.mode = 0o755 if wanted.executable else 0o644
        self.at = 0
        while self.at < at and (block := os.pread(handle, min(_BLOCK, at - self.at), self.at)):
            self._digest.update(block)
            self.at += len(block)

    def write(self, block: bytes) -> None:
        """What comes next. Raises Refused if it is more than was announced, OSError."""
        if self.at + len(block) > self.wanted.size:
            raise _changed(self.wanted)
        self._digest.update(block)
        view = memoryview(block)
        while view:
            done = os.pwrite(self._handle, view, self.at)
            self.at += done
            view = view[done:]

    @property
    def is_whole(self) -> bool:
        """Whether it is what it should be."""
        return (self._digest.hexdigest(), self.at) == (self.wanted.sha256, self.wanted.size)


@contextmanager
def landing(top: Path, wanted: Input, *, resume: bool = False) -> Iterator[Landing]:
    """Where to write what is to be at its path below `top`; it is there when this ends without an error.

    With `resume` what was written before a break is kept for the next time. No link on the way is followed.
    Raises Refused if the path is no plain one, a link or another kind of file is in the way, or the content differs.
    """
    names = plain_parts(wanted.path)
    if not names:
        raise Refused(f"artifact {wanted.path[:200]!a} of {wanted.label} has no name that may be written to")
    try:
        with folder(top, names[:-1], make=True) as parent, _file(parent, wanted, resume) as (handle, scratch):
            file = Landing(handle, wanted, os.fstat(handle).st_size)
            yield file
            _finish(file, handle, scratch, parent, names[-1])
    except OSError as error:
        where = f"artifact {wanted.path!r} of {wanted.label}"
        if error.errno in _FULL:
            raise NodeFull(f"cannot write {where}: {error.strerror}", hint="free some space, and try again") from error
        raise Refused(f"cannot put {where} into {str(top)!r}: {error.filename!r}: {error.strerror}") from error


def _finish(file: Landing, handle: int, scratch: str, parent: int, name: str) -> None:
    if not file.is_whole:
        # what is wrong stays wrong: the next time begins anew
        os.unlink(scratch, dir_fd=parent)
        raise _changed(file.wanted)
    os.fchmod(handle, file.mode & ~_umask())
    try:
        os.rename(scratch, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:
        os.unlink(scratch, dir_fd=parent)
        raise


@contextmanager
def _file(parent: int, wanted: Input, resume: bool) -> Iterator[tuple[int, str]]:
    scratch = f".cit-{wanted.sha256[:32]}.part" if resume else f".cit-{wanted.sha256[:32]}-{os.getpid()}"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_NONBLOCK if resume else os.O_EXCL)
    handle = os.open(scratch, flags, 0o600, dir_fd=parent)
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_nlink != 1:
        os.close(handle)
        raise OSError(errno.EINVAL, "is in the way, and not ours", scratch)
    try:
        if about.st_size > wanted.size:
            os.ftruncate(handle, 0)
        yield handle, scratch
    except BaseException:
        if not resume or not os.fstat(handle).st_size:
            with contextlib.suppress(OSError):
                os.unlink(scratch, dir_fd=parent)
        raise
    finally:
        os.close(handle)


def _umask() -> int:
    found = os.umask(0o022)
    os.umask(found)
    return found


def _changed(wanted: Input) -> Refused:
    return Refused(f"artifact {wanted.path!r} of {wanted.label} is not what its result says: it was changed")
