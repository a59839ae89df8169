"""Workspaces that a group may read: in a folder of their own, so that nothing else of a worker's is opened for it."""

from __future__ import annotations

import grp
import os
import shutil
from pathlib import Path

from citgit.errors import UsageError

_PARTS = ("workspaces", "by-name")
_MODE = 0o2750
"""The group enters and reads; what is made inside is the group's too; others see nothing."""


def share(home: Path, folder: Path, group: str) -> None:
    """Has the worker at `home` keep its workspaces below `folder`, readable by the unix group. Raises UsageError."""
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"no group {group[:60]!a} on this machine", hint="groupadd makes one") from None
    if not folder.is_absolute():
        raise UsageError(f"not an absolute path: {str(folder)!r}", hint="name the folder from the root")
    try:
        for path in (folder, *(folder / part for part in _PARTS)):
            path.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                raise UsageError(f"{str(path)!r} is not this user's own folder", hint="name another one")
            os.chown(path, -1, gid)
            path.chmod(_MODE)
    except OSError as error:
        raise UsageError(
            f"cannot open {str(folder)!r} for the group {group!r}: {error.strerror}",
            hint="the worker's account must be a member of the group, and able to write there",
        ) from error
    for part in _PARTS:
        _link(home / part, folder / part)
    _reachable(folder)


def forget_shared(home: Path) -> None:
    """Removes what the worker at `home` keeps in a shared folder; the folder itself stays with its owner."""
    for part in _PARTS:
        if (home / part).is_symlink():
            shutil.rmtree((home / part).resolve(), ignore_errors=True)


def _link(place: Path, target: Path) -> None:
    if place.is_symlink() and place.resolve() == target.resolve():
        return
    if place.is_symlink():
        place.unlink()
    elif place.is_dir():
        _empty(place)
    place.symlink_to(target)


def _empty(place: Path) -> None:
    if place.name == "by-name":
        for link in place.iterdir():
            link.unlink()
    try:
        place.rmdir()
    except OSError:
        raise UsageError(
            f"there are workspaces in {str(place)!r} already, for this account alone",
            hint="'cit tidy' removes those of finished builds; or name another --home",
        ) from None


def _reachable(folder: Path) -> None:
    """The way there is the owner's to open: whoever did not cannot have meant it."""
    for parent in folder.parents:
        about = parent.stat()
        if not about.st_mode & 0o001 and not (about.st_mode & 0o010 and about.st_gid == folder.stat().st_gid):
            raise UsageError(
                f"the group cannot enter {str(parent)!r}, where {str(folder)!r} is",
                hint=f"chmod o+x {parent}, or name a folder elsewhere, such as /srv/citgit",
            )
