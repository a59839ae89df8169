"""Every record type: composed, read back byte for byte, and as the golden files have it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from samples import BODIES, BUILD, REQUEST

from citgit.errors import BadRecord, Unsupported
from citgit.model.record import Body, Cancel, Head, RecordType, Seen
from citgit.records import canonical, commit, envelope
from citgit.records.registry import SPECS

_DATA = Path(__file__).parent.parent / "data"
_PARENT = envelope.Parent(oid="e" * 40, sha256="d" * 64, seq=0, policy="b" * 40)


def _compose(body: Body, parent: envelope.Parent | None = _PARENT) -> bytes:
    return envelope.compose(
        body, repo="b" * 40, ref=f"refs/cit/builds/default/{BUILD}", build=BUILD, parent=parent, policy="b" * 40,
        seen=Seen(policy="b" * 40), actor="person:anna", nonce="0" * 32, time=1_700_000_000,
    )  # fmt: skip


def _changed(data: bytes, **fields: Any) -> commit.Commit:
    read = commit.parse(data)
    subject, _, text = read.message.partition("\n\n")
    document = canonical.loads(text[:-1]) | fields
    message = f"{subject}\n\n{canonical.dumps(document)}\n"
    return commit.parse(
        commit.unsigned(
            tree=read.tree, parents=read.parents, author=read.author, mail=read.mail, time=read.time, message=message
        )
    )


def test_samples_are_complete() -> None:
    """There is a sample of every type, and the registry knows every type."""
    assert set(BODIES) == set(SPECS) == {kind.value for kind in RecordType}


@pytest.mark.parametrize("kind", BODIES)
def test_composes_and_reads_back(kind: str) -> None:
    """The body that was composed is the body that is read; the text is the same bytes."""
    data = _compose(BODIES[kind])
    read = commit.parse(data)
    record = envelope.read_record(read)
    assert record.body == BODIES[kind]
    assert (record.head.type, record.head.seq, record.head.prev) == (kind, 1, "e" * 40)
    assert envelope.rewrite(record) == read.message.partition("\n\n")[2][:-1]
    assert _compose(record.body) == data


@pytest.mark.parametrize("kind", BODIES)
def test_golden(kind: str) -> None:
    """The bytes of each type are those of the golden file: a change here breaks every repository."""
    golden = _DATA / kind / "record.txt"
    if os.environ.get("CIT_GOLDEN") == "write":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_bytes(_compose(BODIES[kind]))
    assert _compose(BODIES[kind]) == golden.read_bytes()


@pytest.mark.parametrize("kind", BODIES)
def test_unknown_fields_survive(kind: str) -> None:
    """Fields that this version does not know, outside and inside the body, are kept."""
    document = envelope.read_record(commit.parse(_compose(BODIES[kind]))).document
    read = _changed(_compose(BODIES[kind]), zz={"a": [1]}, body=document["body"] | {"zz": "new"})
    record = envelope.read_record(read)
    assert record.body == BODIES[kind]
    assert envelope.rewrite(record) == read.message.partition("\n\n")[2][:-1]
    assert '"zz": "new"' in envelope.rewrite(record)


@pytest.mark.parametrize(
    "fields", [{"type": "song"}, {"format": 2}, {"format": 2, "time": "2026", "seen": []}, {"type": "song", "seq": "x"}]
)
def test_newer_records_are_unsupported(fields: dict[str, Any]) -> None:
    """An unknown type or a newer format is not void, whatever else it changed: another version is needed."""
    with pytest.raises(Unsupported, match="not of format 1"):
        envelope.read_record(_changed(_compose(Cancel()), **fields))


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"type": "pause"}, "subject"),
        ({"actor": "person:ben"}, "author"),
        ({"time": 1}, "author"),
        ({"nonce": "0" * 31}, "nonce"),
        ({"nonce": "G" * 32}, "nonce"),
        ({"seq": "1"}, "field"),
        ({"format": "1"}, "field"),
        ({"body": None}, "field"),
        ({"body": {"reason": 1}}, "field"),
        ({"body": {"reason": "\u0007"}}, "field"),
    ],
)
def test_bad_records(fields: dict[str, Any], rule: str) -> None:
    """Each field that does not fit names its rule."""
    with pytest.raises(BadRecord) as caught:
        envelope.read_record(_changed(_compose(Cancel()), **fields))
    assert caught.value.rule == rule


def test_document_that_is_no_object() -> None:
    """A list is canonical JSON but no record."""
    payload = commit.unsigned(
        tree=commit.EMPTY_TREE, parents=(), author="a", mail="b", time=1, message="cancel: x\n\n[]\n"
    )
    with pytest.raises(BadRecord):
        envelope.read_record(commit.parse(payload))


def test_a_body_that_breaks_its_rules_is_never_written() -> None:
    """What would be refused by readers is refused by the writer."""
    with pytest.raises(BadRecord, match="control characters"):
        _compose(Cancel(reason="\x1b[31m"))


def test_parent_of_what_was_composed() -> None:
    """The next record names its parent's oid, digest, place and policy; a root has none."""
    data = _compose(REQUEST, None)
    parent = envelope.parent_of(data)
    head: Head = envelope.read_record(commit.parse(data)).head
    assert (head.prev, head.prev_sha256, head.seq) == (None, None, 0)
    assert parent == envelope.Parent(
        oid=commit.oid_of("commit", data), sha256=envelope.sha256(data), seq=0, policy="b" * 40
    )
