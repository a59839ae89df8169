"""What is said between a node and who reads there (docs/serve.md): the proof of checkout, files, folders."""

from __future__ import annotations

from typing import Annotated

import msgspec

from citgit.ssh.talk import NodeMessage

MOST_NAMES = 3000
"""Names of one folder that are told."""

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Challenge(NodeMessage, frozen=True, kw_only=True):
    """Asks for proof that the reader has the code: the digest of git/contents.py for this `nonce` and `reader`."""

    nonce: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    reader: str


class Proof(NodeMessage, frozen=True, kw_only=True):
    """The digest; "" with the reason `why_not` if the client does not have the code."""

    digest: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""
    why_not: str = ""


class Get(NodeMessage, frozen=True, kw_only=True):
    """Asks for the content with this digest that the attempt kept, from byte `at` on."""

    sha256: Sha256
    at: Count = 0


class Content(NodeMessage, frozen=True, kw_only=True):
    """The content follows: so many bytes, in no frame. `size` is that of all of it."""

    follow: Count
    size: Count


class Folder(NodeMessage, frozen=True, kw_only=True):
    """Asks what is in a folder of the workspace: its names, from the top; none for the top itself."""

    names: Annotated[tuple[str, ...], msgspec.Meta(max_length=256)] = ()


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name in a folder: `kind` is file, folder, link or other; bytes, unix seconds of its last change."""

    name: str
    kind: str
    size: int = 0
    changed: int = 0
    executable: bool = False


class Items(NodeMessage, frozen=True, kw_only=True):
    """What is in the folder, by name; `more` were left out."""

    items: tuple[Item, ...] = ()
    more: int = 0


class Done(NodeMessage, frozen=True, kw_only=True):
    """It was done."""

    message: str = ""


class AllNodes(NodeMessage, frozen=True, kw_only=True):
    """Asks for all components of the log."""


class Await(NodeMessage, frozen=True, kw_only=True):
    """Asks what has changed since the last answer, as soon as something has, at the latest after so many seconds."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0


class Nodes(NodeMessage, frozen=True, kw_only=True):
    """The body is a JSON list of components: `whole` if these are all, else those that have changed."""

    whole: bool = False


class PieceOf(NodeMessage, frozen=True, kw_only=True):
    """Asks for bytes of a component's `out`, `err` or `times`."""

    path: Annotated[str, msgspec.Meta(max_length=4096)]
    name: Annotated[str, msgspec.Meta(pattern="^(out|err|times)$")]
    at: Count
    count: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)]


class Cleaned(NodeMessage, frozen=True, kw_only=True):
    """The workspace is gone, which freed so many bytes."""

    freed: int


class IndexOf(NodeMessage, frozen=True, kw_only=True):
    """Asks for what is known of a finished component besides."""

    path: Annotated[str, msgspec.Meta(max_length=4096)]


class Piece(NodeMessage, frozen=True, kw_only=True):
    """The body is what was asked for; empty if there is none."""
