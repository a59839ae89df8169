"""What the verbs of a node are made of: the talk with a client, whose command was read by a closed grammar."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from citgit.errors import NotFound
from citgit.model.names import is_plain_name, plain_parts
from citgit.ssh.frames import BODY_LIMIT
from citgit.ssh.frames import Garbled as Garbled
from citgit.ssh.grammar import NodeCommand as NodeCommand
from citgit.ssh.grammar import parse_node as parse_node
from citgit.ssh.pipe import Gone as Gone
from citgit.ssh.reading import MOST_NAMES, Item, Items
from citgit.ssh.reading import AllNodes as AllNodes
from citgit.ssh.reading import Await as Await
from citgit.ssh.reading import Cleaned as Cleaned
from citgit.ssh.reading import Content as Content
from citgit.ssh.reading import Done as Done
from citgit.ssh.reading import Folder as Folder
from citgit.ssh.reading import Get as Get
from citgit.ssh.reading import IndexOf as IndexOf
from citgit.ssh.reading import Nodes as Nodes
from citgit.ssh.reading import Piece as Piece
from citgit.ssh.reading import PieceOf as PieceOf
from citgit.ssh.talk import NodeMessage as NodeMessage
from citgit.ssh.talk import Talk as Talk
from citgit.ssh.talk import sorry as sorry
from citgit.workspaces.below import folder, open_file
from citgit.workspaces.tidy import drop as drop

MOST_BYTES = BODY_LIMIT
"""Bytes in the body of one message."""


def open_kept(top: Path, path: str) -> int:
    """A descriptor of a kept file. Raises OSError: it is gone, or something else is there."""
    names = plain_parts(path)
    if not names:
        raise OSError(22, "no path of a kept file")
    return open_file(top, names)


def items(top: Path, names: Sequence[str]) -> Items:
    """What is in a folder below `top`; links are told of, not followed. Raises NotFound."""
    try:
        if not all(is_plain_name(name) and name not in (".", "..") for name in names):
            raise OSError(22, "no path of a folder")
        with folder(top, names) as handle:
            found = sorted(os.listdir(handle))
            told = [_item(name, handle) for name in found[:MOST_NAMES] if name.isprintable()]
    except OSError as error:
        raise NotFound(f"no folder {'/'.join(names)[:200]!a} in the workspace: {error.strerror}") from error
    return Items(items=tuple(told), more=len(found) - len(told))


def _item(name: str, handle: int) -> Item:
    try:
        about = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except OSError:
        return Item(name=name, kind="other")
    kinds = ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "link"))
    kind = next((word for is_one, word in kinds if is_one(about.st_mode)), "other")
    size = about.st_size if kind == "file" else 0
    return Item(
        name=name, kind=kind, size=size, changed=int(about.st_mtime), executable=bool(about.st_mode & stat.S_IXUSR)
    )
