"""The git commit around a record: built from its parts, and read back from raw bytes by a strict grammar."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from citgit.errors import BadRecord
from citgit.model.pattern import pattern

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

_HEADER = pattern(
    rb"tree ([0-9a-f]{40})\n"
    rb"((?:parent [0-9a-f]{40}\n)*)"
    rb"author ([^<>\n\0]{1,200}) <([^<>\n\0]{0,200})> ([0-9]{1,12}) \+0000\n"
    rb"committer \3 <\4> \5 \+0000\n"
    rb"(gpgsig (?:[^\n]*\n)(?: [^\n]*\n)*)?"
    rb"\n",
)
_LINKS = pattern(rb"tree ([0-9A-Fa-f]{40})\n((?:parent [0-9A-Fa-f]{40}\n)*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit of citgit's own grammar. `payload` is what `signature` covers; `oid` names the whole."""

    oid: str
    sha256: str
    tree: str
    parents: tuple[str, ...]
    author: str
    mail: str
    time: int
    message: str
    signature: str
    payload: bytes


def oid_of(kind: str, data: bytes) -> str:
    """git's name for an object of that type ("commit", "tree", "blob")."""
    return hashlib.sha1(b"%s %d\0%s" % (kind.encode(), len(data), data), usedforsecurity=False).hexdigest()


def unsigned(*, tree: str, parents: tuple[str, ...], author: str, mail: str, time: int, message: str) -> bytes:
    """The bytes that a signature covers: a commit without its gpgsig header, in UTC."""
    who = f"{author} <{mail}> {time} +0000"
    head = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {who}", f"committer {who}"]
    return ("\n".join(head) + "\n\n" + message).encode("ascii")


def signed(payload: bytes, signature: str) -> bytes:
    """The commit: `payload` with the armored signature as its gpgsig header."""
    head, body = payload.split(b"\n\n", 1)
    lines = signature.strip().encode("ascii").split(b"\n")
    return head + b"\ngpgsig " + b"\n ".join(lines) + b"\n\n" + body


def links(data: bytes) -> tuple[str, tuple[str, ...]]:
    """The tree and the parents of any commit, as git reads it: lines further down name nothing."""
    found = _LINKS.match(data)
    if not found:
        return "", ()
    return found[1].decode().lower(), tuple(line[7:].decode().lower() for line in found[2].splitlines())


def parse(data: bytes, oid: str | None = None) -> Commit:
    """Reads a commit that citgit wrote; its name is computed, and must be `oid` if that is given.

    Raises:
        BadRecord: any header beyond tree, parents, equal author and committer and one gpgsig; a wrong name.
    """
    name = oid_of("commit", data)
    if oid is not None and name != oid:
        raise BadRecord(f"object {oid[:12]} is damaged: its bytes are {name[:12]}", rule="name")
    found = _HEADER.match(data)
    if not found:
        raise BadRecord(f"commit {name[:12]} is not of the record grammar", rule="commit")
    raw = found[6] or b""
    # git's own rule for a header that goes on: each further line starts with one space
    signature = raw[len(b"gpgsig ") :].removesuffix(b"\n").replace(b"\n ", b"\n")
    rest = data[found.end() :]
    try:
        message = rest.decode("ascii")
        author, mail = found[3].decode("ascii"), found[4].decode("ascii")
        armor = signature.decode("ascii")
    except UnicodeDecodeError:
        raise BadRecord(f"commit {name[:12]} is not ASCII", rule="ascii") from None
    return Commit(
        oid=name,
        sha256=hashlib.sha256(data).hexdigest(),
        tree=found[1].decode(),
        parents=tuple(line.split(" ")[1] for line in found[2].decode().splitlines()),
        author=author,
        mail=mail,
        time=int(found[5]),
        message=message,
        signature=armor + "\n" if armor else "",
        payload=data[: found.start(6)] + data[found.end(6) :] if raw else data,
    )
