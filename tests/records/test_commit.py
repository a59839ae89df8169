"""The commit around a record: read back as written, and nothing beyond its grammar."""

from __future__ import annotations

import pytest

from citgit.errors import BadRecord
from citgit.records import commit

_PARENT = "b" * 40
_SIGNATURE = "-----BEGIN SSH SIGNATURE-----\nYWJj\n\nZGVm\n-----END SSH SIGNATURE-----\n"


def _payload(message: str = "cancel: no\n\n{}\n", parents: tuple[str, ...] = (_PARENT,)) -> bytes:
    return commit.unsigned(
        tree=commit.EMPTY_TREE, parents=parents, author="person:anna", mail="anna@person.cit", time=17, message=message
    )


@pytest.mark.parametrize("parents", [(), (_PARENT,), (_PARENT, "c" * 40)])
def test_signed_round_trip(parents: tuple[str, ...]) -> None:
    """Signature, payload and every header come back byte for byte."""
    payload = _payload(parents=parents)
    data = commit.signed(payload, _SIGNATURE)
    read = commit.parse(data, commit.oid_of("commit", data))
    assert (read.payload, read.signature, read.parents) == (payload, _SIGNATURE, parents)
    assert (read.author, read.mail, read.time) == ("person:anna", "anna@person.cit", 17)
    assert commit.signed(read.payload, read.signature) == data


def test_unsigned_round_trip() -> None:
    """A commit without a signature is its own payload."""
    read = commit.parse(_payload())
    assert (read.payload, read.signature) == (_payload(), "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"committer person:anna", b"committer person:ben"),
        (b"committer person:anna <anna@person.cit> 17", b"committer person:anna <anna@person.cit> 18"),
        (b"17 +0000\ncommitter", b"17 +0100\ncommitter"),
        (b"\n\ncancel", b"\nencoding latin1\n\ncancel"),
        (b"\n\ncancel", b"\nmergetag x\n\ncancel"),
        (b"\nauthor", b"\nparent abc\nauthor"),
        (b"tree ", b"Tree "),
        (b"gpgsig ", b"gpgsig-sha256 "),
        (b"\n\ncancel", b"\ngpgsig again\n\ncancel"),
        (b"anna <", b"an\0na <"),
        (b"cancel: no", b"cancel: n\xc3\xb6"),
    ],
)
def test_outside_the_grammar(old: bytes, new: bytes) -> None:
    """A further header, a committer who is not the author, another zone or bytes beyond ASCII are refused."""
    data = commit.signed(_payload(), _SIGNATURE)
    assert old in data
    with pytest.raises(BadRecord):
        commit.parse(data.replace(old, new, 1))


def test_damaged_bytes() -> None:
    """A commit whose bytes do not have the name by which it was asked for is damaged."""
    data = _payload()
    with pytest.raises(BadRecord, match="damaged"):
        commit.parse(data.replace(b"no", b"on"), commit.oid_of("commit", data))
