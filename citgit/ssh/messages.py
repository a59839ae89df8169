"""What the two ends of the channel say to each other (docs/serve.md): one JSON document a message, by its `type`.

Fields may be added, with defaults: a reader ignores those that it does not know. Anything else is a new version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, TypeVar

import msgspec

from citgit.ssh.frames import BODY_LIMIT, Garbled, frame

VERSIONS = (1,)
"""What this end speaks, best first."""

GREETING = "cit-serve"
"""The first word of the server's first line, before any frame; the versions that it speaks follow."""

MOST_UPDATES = 200
MOST_OBJECTS = 20_000
MOST_PREFIXES = 100

Oid = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{40}$")]
Size = Annotated[int, msgspec.Meta(ge=0, le=BODY_LIMIT)]
Number = Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
Parcel = tuple[str, Size]
"""Kind and size of an object whose bytes are in the body, in the order of the list."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str.lower):
    """A message."""


class Hello(_Message, frozen=True, kw_only=True):
    """The client's first: the version it chose, the root of the refs it means."""

    version: int
    root: str


class Have(_Message, frozen=True, kw_only=True):
    """Refs that the client knows, whose objects it has; both ends now take them as told."""

    refs: dict[str, Oid]


class Fetch(_Message, frozen=True, kw_only=True):
    """Asks what differs under these prefixes from what was told before."""

    id: Number
    prefixes: Annotated[list[str], msgspec.Meta(max_length=MOST_PREFIXES)]


class Swap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One compare-and-swap: without `old` the ref must not exist, without `new` it goes."""

    ref: str
    old: Oid | None = None
    new: Oid | None = None


class Push(_Message, frozen=True, kw_only=True):
    """Asks for updates, each on its own; the body holds new objects."""

    id: Number
    updates: Annotated[list[Swap], msgspec.Meta(max_length=MOST_UPDATES)]
    objects: Annotated[list[Parcel], msgspec.Meta(max_length=MOST_OBJECTS)] = []


class Watch(_Message, frozen=True, kw_only=True):
    """Asks to be told when something changes under these prefixes."""

    prefixes: Annotated[list[str], msgspec.Meta(max_length=MOST_PREFIXES)]


class Welcome(_Message, frozen=True, kw_only=True):
    """The server's first frame; `by_git` says why pushes must go through git, "" if they need not."""

    version: int
    by_git: str = ""


class Objects(_Message, frozen=True, kw_only=True):
    """Objects that the answer to `id` needs; the answer follows."""

    id: Number
    objects: list[Parcel]


class Fetched(_Message, frozen=True, kw_only=True):
    """The answer to Fetch."""

    id: Number
    changed: dict[str, Oid] = {}
    gone: list[str] = []


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one update; `missing` objects are to be sent with the next try ("missing")."""

    answer: str
    message: str = ""
    missing: list[Oid] = []


class Answered(_Message, frozen=True, kw_only=True):
    """The answers to Push, in the order of its updates."""

    id: Number
    answers: list[Told]


class Changed(_Message, frozen=True, kw_only=True):
    """Unasked: something under a watched prefix is not as it was told."""


class Failed(_Message, frozen=True, kw_only=True):
    """The answer to what cannot be answered. `code`: "git" (git is the way for this), "away" (try again),
    "protocol" and "idle" (the channel ends)."""

    id: int = 0
    code: str
    message: str


FromClient = Hello | Have | Fetch | Push | Watch
FromServer = Welcome | Objects | Fetched | Answered | Changed | Failed

M = TypeVar("M")

_ENCODER = msgspec.json.Encoder()
FROM_CLIENT: msgspec.json.Decoder[FromClient] = msgspec.json.Decoder(FromClient)
FROM_SERVER: msgspec.json.Decoder[FromServer] = msgspec.json.Decoder(FromServer)


def encode(message: FromClient | FromServer, body: bytes = b"") -> bytes:
    """A message as a frame."""
    return frame(_ENCODER.encode(message), body)


def decode(decoder: msgspec.json.Decoder[M], head: bytes) -> M:
    """A message from a head. Raises Garbled."""
    try:
        return decoder.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Garbled(f"not a message of this protocol: {error}") from None


def unpack(parcels: list[Parcel], body: bytes) -> list[tuple[str, bytes]]:
    """Kind and bytes of each object in a body. Raises Garbled."""
    if sum(size for _, size in parcels) != len(body):
        raise Garbled("the objects do not fill the body")
    found, start = [], 0
    for kind, size in parcels:
        if kind not in ("commit", "tree", "blob"):
            raise Garbled(f"not a kind of object: {kind[:20]!a}")
        found.append((kind, body[start : start + size]))
        start += size
    return found


def named(refs: Mapping[str, Oid]) -> dict[str, Oid]:
    """Refs under names that JSON can hold: one that is no UTF-8 is none of the protocol's, and is shown escaped."""
    if all(map(str.isascii, refs)):
        return dict(refs)
    return {ref.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"): refs[ref] for ref in refs}


def in_pieces(refs: Mapping[str, Oid], most: int = 5_000) -> Iterator[dict[str, Oid]]:
    """Refs in portions that fit into a head."""
    items = iter(named(refs).items())
    while portion := dict(islice(items, most)):
        yield portion
