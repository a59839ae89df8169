"""Whether a record says of itself where it stands: no record counts at another ref, build, repository or position."""

from __future__ import annotations

from citgit.model.build import Link
from citgit.model.record import Head


def place_fault(head: Head, *, repo: str, ref: str, build: str, seq: int, parent: Link | None) -> str:
    """How the record's own words differ from its place; "" if they do not."""
    expected = (repo, ref, build, seq, parent.oid if parent else None)
    found = (head.repo, head.ref, head.build, head.seq, head.prev)
    for name, want, have in zip(("repo", "ref", "build", "seq", "prev"), expected, found, strict=True):
        if want != have:
            return f"{name} is {str(have)[:60]!r}, not {str(want)[:60]!r}"
    if head.prev_sha256 != (parent.sha256 if parent else None):
        return "prev_sha256 is not that of the parent"
    return ""


def place_rule(words: str) -> str:
    """The rule that what `place_fault` says breaks: where a record stands in its chain, or which chain it is."""
    return "parent" if words.startswith(("seq", "prev")) else "place"


def form_rule(link: Link) -> str:
    """The rule that a commit which is no record breaks."""
    if link.unsupported:
        return "role"
    return "signature" if link.tree and not link.key else "shape"
