"""What `cit doctor` finds out about the host: what it enforces, and what rests on the readers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from citgit.interfaces import Answer, Oid, Pushed, Update
from citgit.wiring.clone import Clone, setting


class Finding(NamedTuple):
    """One thing that was looked at: whether it is well, what was found, what to do."""

    ok: bool
    what: str
    hint: str = ""


def hook(clone: Clone) -> Iterator[Finding]:
    """Whether the host judges pushes, where that can be seen from here."""
    state = Path(clone.url)
    if not state.is_dir():
        yield Finding(True, "whether the host judges pushes is found out by 'cit doctor --probe'")
        return
    git_dir = state / ".git" if (state / ".git").is_dir() else state
    for name in ("update", "pre-receive"):
        path = git_dir / "hooks" / name
        if path.is_file() and b"cit-verify-push" in path.read_bytes():
            where = os.access(path, os.X_OK)
            yield Finding(where, f"the host judges pushes by its {name} hook", f"chmod +x {path}")
            return
    if setting(git_dir, "core.bare") == "true":
        yield Finding(True, "the host judges no pushes: readers alone do ('cit init' in the bare repository)")


def probe(clone: Clone) -> Iterator[Finding]:
    """Tries the host with refs that mean nothing, and takes them away again."""
    state, base = clone.state, clone.state.refs.root
    oid = state.remote.fetch([state.refs.policy]).get(state.refs.policy)
    if oid is None:
        return
    bits = UUID(hex=state.entropy.nonce()).int & ~(0xF << 76) | 0x7 << 76
    build = str(UUID(int=bits & ~(0x3 << 62) | 0x2 << 62))
    mine, foreign = f"{base}replay/{clone.person or 'probe'}/{build}", f"{base}probe/{build}"
    made = _push(clone, mine, None, oid)
    yield Finding(
        made.answer is Answer.DONE, f"the host takes refs below {base}" + _but(made, Answer.DONE),
        "ask its owner, or keep the state below refs/heads/cit/: git config citgit.refs refs/heads/cit/",
    )  # fmt: skip
    if made.answer is Answer.DONE:
        lease = _push(clone, mine, "0" * 39 + "1", None)
        yield Finding(
            lease.answer is Answer.STALE, "the host keeps leases" + _but(lease, Answer.STALE),
            "builds could be claimed twice: use another host",
        )  # fmt: skip
        gone = _push(clone, mine, oid, None)
        yield Finding(
            gone.answer is Answer.DONE, "the host lets refs be deleted" + _but(gone, Answer.DONE),
            f"archived builds would stay for ever: have it allowed, then delete {mine}",
        )  # fmt: skip
    junk = _push(clone, foreign, None, oid)
    if junk.answer is Answer.DONE:
        _push(clone, foreign, oid, None)
    judges = junk.answer is Answer.DENIED
    yield Finding(True, f"the host {'judges pushes' if judges else 'takes any ref: readers alone judge'}")


def _push(clone: Clone, ref: str, old: Oid | None, new: Oid | None) -> Pushed:
    return clone.state.remote.push([Update(ref, old, new)])[0]


def _but(pushed: Pushed, wanted: Answer) -> str:
    return "" if pushed.answer is wanted else f": no ({pushed.answer.value}: {pushed.message.strip()[-200:]})"
