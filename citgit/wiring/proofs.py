"""Proof of checkout, both ends: a node asks who reads there, and believes it for a while; a client answers."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import time
from pathlib import Path

from citgit.errors import CitError, Refused
from citgit.git.contents import Digest
from citgit.git.own import OwnSources
from citgit.model.record import Request
from citgit.ssh.reading import Challenge, Proof
from citgit.ssh.talk import Talk
from citgit.wiring.clone import Clone, mirror_folder
from citgit.wiring.homes import Kept
from citgit.wiring.hosts import mirrors

BELIEVED_S = 3600.0
"""For how long a proof holds for further reads of the same revision by the same person."""

_ANSWER_S = 900.0


def need_proof(talk: Talk, kept: Kept, reader: str) -> None:
    """Has a reader prove that they have the code of an attempt, unless they did lately. Raises Refused, Gone."""
    mark = _mark(kept.home.path / "proofs", reader, kept)
    if _is_fresh(mark):
        return
    nonce = secrets.token_bytes(32)
    talk.say(Challenge(nonce=nonce.hex(), reader=reader))
    answer = talk.hear(Proof, patience=_ANSWER_S)
    if not answer.digest:
        raise Refused("access denied: the code of this build was not proven to be yours to check out",
                      hint=answer.why_not[:300] or "clone the source, or get access to it")  # fmt: skip
    wanted = _digest_here(kept, Digest(nonce, reader, kept.attempt.claim))
    if not hmac.compare_digest(wanted, answer.digest):
        raise Refused("access denied: what you have is not the code of this build", hint="git fetch, and try again")
    _touch(mark)


def prove(clone: Clone, request: Request, claim: str, challenge: Challenge) -> Proof:
    """The answer of this clone, whose person asks, to a node's question about an attempt of a build.

    What the clone lacks is fetched with the rights that this user has.
    """
    reader = f"person:{clone.person}"
    if challenge.reader != reader:
        # a node that could choose for whom we answer could read elsewhere with our answer
        return Proof(why_not=f"the key is bound to {challenge.reader[:80]!a} there, and this clone is of {reader}")
    sources = clone.doors.sources
    assert isinstance(sources, OwnSources)
    digest = Digest(bytes.fromhex(challenge.nonce), reader, claim)
    own, deep = str(clone.repository), request.definition.source.submodules
    try:
        for one in request.sources:
            for path, git_dir, commit in sources.places(
                one.url or own, one.commit, one.ref, submodules=deep, address=clone.source
            ):
                digest.add(f"{one.at}/{path}", git_dir, commit)
    except CitError as error:
        return Proof(why_not=error.message[:300])
    return Proof(digest=digest.end())


def _digest_here(kept: Kept, digest: Digest) -> str:
    home, request = kept.home, kept.attempt.request
    sources = mirrors(mirror_folder(home.path), home.path / "state.git")
    deep = request.definition.source.submodules
    for one in request.sources:
        url = one.url or home.about.source
        for path, git_dir, commit in sources.places(url, one.commit, one.ref, submodules=deep):
            digest.add(f"{one.at}/{path}", git_dir, commit)
    return digest.end()


def _mark(folder: Path, who: str, kept: Kept) -> Path:
    """The file that says who proved lately to have what: all that a proof is made of, submodules too or not."""
    request = kept.attempt.request
    code = [(one.url or kept.home.about.source, one.commit, one.at) for one in request.sources]
    proven = repr((who, code, request.definition.source.submodules))
    return folder / hashlib.sha256(proven.encode("utf-8", "surrogateescape")).hexdigest()


def _is_fresh(mark: Path) -> bool:
    with contextlib.suppress(OSError):
        return 0 <= time.time() - mark.stat().st_mtime < BELIEVED_S
    return False


def _touch(mark: Path) -> None:
    with contextlib.suppress(OSError):
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.touch(mode=0o600)
