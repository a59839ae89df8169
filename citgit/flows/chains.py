"""Reads chains of records: every commit verified before it is parsed further, each only once."""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from citgit.errors import BadRecord, BadSignature, NotFound, Refused, Unsupported
from citgit.flows.state import State
from citgit.interfaces import Oid
from citgit.model.build import Link
from citgit.records import commit as commits
from citgit.records.envelope import read_record, type_of

LONGEST = 10_000
"""Records in one chain: more than any build has; a bound on what a hostile ref can make us read."""


LARGEST = 1 << 20
"""Bytes of one commit that are read at most."""

_HUGE = 1 << 26


def read_link(state: State, oid: Oid) -> Link:
    """The commit as a link: verified, then parsed. Raises NotFound if it is not here.

    What is no commit, or a huge one, is a link with a fault: anybody can push it, and it is no reason to stop reading.
    """
    if oid in state.links:
        return state.links[oid]
    try:
        kind, data = state.objects.read(oid, limit=LARGEST)
    except Refused as error:
        link = _huge(state, oid, error.message)
    else:
        link = (
            _link(state, oid, data) if kind == "commit" else _no_link(oid, f"object {oid[:12]} is a {kind}, no commit")
        )
    state.links[oid] = link
    return link


def _huge(state: State, oid: Oid, fault: str) -> Link:
    """No record, but somebody may have put it on a chain of records: what it follows is not to be lost."""
    try:
        kind, data = state.objects.read(oid, limit=_HUGE)
    except Refused:
        return _no_link(oid, fault)
    parents = commits.links(data)[1] if kind == "commit" else ()
    return Link(oid=oid, sha256=hashlib.sha256(data).hexdigest(), parents=parents, tree="", fault=fault)


def _no_link(oid: Oid, fault: str) -> Link:
    return Link(oid=oid, sha256="", parents=(), tree="", fault=fault)


def read_chain(state: State, tip: Oid) -> list[Link]:
    """The chain from its root to `tip`, along first parents. Raises NotFound if a part of it is missing."""
    links = []
    oid: Oid | None = tip
    while oid is not None:
        link = read_link(state, oid)
        links.append(link)
        if len(links) > LONGEST:
            raise Refused(f"chain at {tip[:12]} is longer than {LONGEST} records")
        oid = link.parents[0] if link.parents else None
    links.reverse()
    return links


def descends(state: State, new: Oid, old: Oid) -> bool:
    """Whether `old` is `new` or one of its ancestors along first parents."""
    oid: Oid | None = new
    for _ in range(LONGEST):
        if oid == old:
            return True
        if oid is None:
            return False
        try:
            parents = read_link(state, oid).parents
        except NotFound:
            return False
        oid = parents[0] if parents else None
    return False


def payload(state: State, link: Link, name: str, sha256: str, size: int) -> bytes:
    """A payload file of a record, checked against what the record says; a name may be `folder/file`.

    Raises:
        Refused: it is not there, or is not what the record says. NotFound: its object was not fetched.
    """
    oid = link.tree
    for part in name.split("/"):
        entry = next((one for one in state.objects.tree(oid) if one.name == part), None)
        if entry is None:
            raise Refused(f"record {link.oid[:12]} lacks its payload {name!r}")
        oid = entry.oid
    _, data = state.objects.read(oid)
    if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
        raise Refused(f"payload {name!r} of record {link.oid[:12]} is not what the record says")
    return data


def _link(state: State, oid: Oid, data: bytes) -> Link:
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        commit = commits.parse(data, oid)
    except BadRecord as error:
        return Link(oid=oid, sha256=sha256, parents=commits.links(data)[1], tree="", fault=error.message)
    link = Link(oid=oid, sha256=sha256, parents=commit.parents, tree=commit.tree)
    try:
        link = replace(link, key=state.verifier.signer(commit.payload, commit.signature))
        return replace(link, record=read_record(commit))
    except (BadSignature, BadRecord) as error:
        return replace(link, fault=error.message)
    except Unsupported as error:
        return replace(link, unsupported=error.message, kind=type_of(commit))
