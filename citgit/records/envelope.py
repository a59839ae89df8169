"""A record and the commit that carries it: `compose` makes the bytes to sign, `read` takes them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from citgit.errors import BadRecord, Unsupported
from citgit.model.record import FORMAT, Body, Head, Record, RecordType, Seen
from citgit.records import canonical, commit
from citgit.records.registry import BY_BODY, SPECS
from citgit.records.spec import oid_fault, refuse


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """What a new record must know of the ref's previous tip: its name, sha256, position and cited policy."""

    oid: str
    sha256: str
    seq: int
    policy: str


class _Version(msgspec.Struct, frozen=True):
    """What says whether this version can read a record."""

    type: str
    format: int


def parent_of(data: bytes) -> Parent:
    """The Parent that the raw bytes of a record's commit make. Raises BadRecord, Unsupported."""
    read = commit.parse(data)
    head = read_record(read).head
    return Parent(oid=read.oid, sha256=read.sha256, seq=head.seq, policy=head.policy)


def compose(
    body: Body, *, repo: str, ref: str, build: str, parent: Parent | None, policy: str, seen: Seen, actor: str,
    nonce: str, time: int, tree: str = commit.EMPTY_TREE,
) -> bytes:  # fmt: skip
    """The unsigned commit of a new record; sign it and pass both to `commit.signed`.

    Raises:
        BadRecord: the body breaks a rule of its type, or the document is too long.
    """
    spec = BY_BODY[type(body)]
    refuse(spec.faults(body), spec.type.value)
    head = Head(
        type=spec.type.value, format=FORMAT, repo=repo, ref=ref, build=build,
        seq=parent.seq + 1 if parent else 0,
        prev=parent.oid if parent else None, prev_sha256=parent.sha256 if parent else None,
        nonce=nonce, policy=policy, seen=seen, actor=actor, time=time,
    )  # fmt: skip
    document = msgspec.to_builtins(head) | {"body": msgspec.to_builtins(body)}
    text = canonical.dumps(document)
    subject = f"{spec.type.value}: {_printable(spec.subject(body))}"
    return commit.unsigned(
        tree=tree,
        parents=(parent.oid,) if parent else (),
        author=actor,
        mail=mail(actor),
        time=time,
        message=f"{subject}\n\n{text}\n",
    )


def mail(actor: str) -> str:
    """The mail address that git wants of an author: made from the actor, and checked to be."""
    kind, _, name = actor.partition(":")
    return f"{name}@{kind}.cit"


def read_record(read: commit.Commit) -> Record:
    """The record in a commit; what it claims about its place is not checked here (see `rules.judge`).

    Raises:
        BadRecord: not a record, or a body that breaks its type's rules.
        Unsupported: an unknown type or a newer format.
    """
    subject, _, rest = read.message.partition("\n\n")
    if not rest.endswith("\n") or "\n" in subject or not subject.isprintable():
        raise BadRecord(f"commit {read.oid[:12]} is not subject, blank line, document, newline", rule="message")
    document = canonical.loads(rest[:-1])
    try:
        # first of all: a newer format may have changed every other field
        version = msgspec.convert(document, _Version)
        if version.format > FORMAT or version.type not in SPECS:
            raise Unsupported(
                f"record {read.oid[:12]} is {version.type[:40]!a} of format {version.format}, not of format {FORMAT}",
                hint="use a citgit that knows this record",
            )
        head = msgspec.convert(document, Head)
    except msgspec.ValidationError as error:
        raise BadRecord(f"record {read.oid[:12]}: {error}", rule="field") from None
    if not subject.startswith(f"{head.type}: "):
        raise BadRecord(f"record {read.oid[:12]}: subject does not name its type", rule="subject")
    if read.author != head.actor or read.mail != mail(head.actor) or read.time != head.time:
        raise BadRecord(f"record {read.oid[:12]}: author is not the actor", rule="author")
    if len(head.nonce) != 32 or not set(head.nonce) <= set("0123456789abcdef"):
        raise BadRecord(f"record {read.oid[:12]}: nonce is not 128 bits of hex", rule="nonce")
    refuse(_head_faults(head), f"record {read.oid[:12]}")
    spec = SPECS[head.type]
    try:
        body = msgspec.convert(document.get("body"), spec.body)
    except msgspec.ValidationError as error:
        raise BadRecord(f"record {read.oid[:12]}: body: {error}", rule="field") from None
    refuse(spec.faults(body), f"record {read.oid[:12]}")
    if read.tree != commit.EMPTY_TREE and not spec.payloads(body):
        raise BadRecord(f"record {read.oid[:12]}: its tree holds files that it does not name", rule="tree")
    return Record(head=head, body=body, document=document)


def _head_faults(head: Head) -> Iterator[str]:
    """What is wrong with the policies and archives that a record names; its place is compared elsewhere.

    Whoever reads one that is not known here stops until it is: that much at least it must look like.
    """
    if head.policy or head.type != RecordType.POLICY.value:
        yield from oid_fault("policy", head.policy)
    if head.seen.policy:
        yield from oid_fault("seen.policy", head.seen.policy)
    for tip in head.seen.archives.values():
        yield from oid_fault("seen.archives", tip)


def type_of(read: commit.Commit) -> str:
    """The type that the record says it is, whether this version knows it or not. Raises BadRecord."""
    document = canonical.loads(read.message.partition("\n\n")[2][:-1])
    return str(document.get("type", "")) if isinstance(document, dict) else ""


def rewrite(record: Record) -> str:
    """The canonical text of a record that was read: byte for byte the same, unknown fields included."""
    return canonical.dumps(record.document)


def is_type(record: Record, kind: RecordType) -> bool:
    """Whether the record is of that type."""
    return record.head.type == kind.value


def sha256(data: bytes) -> str:
    """The digest used for payload files and parents."""
    return hashlib.sha256(data).hexdigest()


def _printable(text: str) -> str:
    ascii_text = text.encode("ascii", "replace").decode()
    return "".join(char if char.isprintable() else "?" for char in ascii_text)[:200]
