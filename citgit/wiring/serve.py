"""From a repository on this machine to the server's side of a channel."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from citgit.errors import NotFound
from citgit.flows.admit import admit
from citgit.flows.state import State
from citgit.git.embedded import Gate, place_of
from citgit.git.objects import GitObjects
from citgit.git.overlay import Overlay
from citgit.git.program import run
from citgit.git.refs import RefFiles
from citgit.git.remote import GitRemote
from citgit.git.tips import GitTips
from citgit.interfaces import Objects, Oid, Update
from citgit.keys.verify import SshVerifier
from citgit.machine import SystemClock, SystemEntropy
from citgit.model.names import DEFAULT_ROOT, Refs
from citgit.ssh.pipe import serve
from citgit.ssh.session import Session
from citgit.wiring.shipped import is_shipped
from citgit.workspaces.ref_watch import EVERYTHING, RefWatch

_MOST_LINKS = 20_000


class _Refs(RefFiles):
    """The refs of a repository, listed once and then followed by events; a Waker too.

    The repository may be moved away: then nothing is known of them, not that all are gone. Another one in its place
    is for another session: what is watched and remembered here is of the first.
    """

    def __init__(self, place: Path, root: str) -> None:
        super().__init__(place, root)
        self._at = place
        self._first = self._identity()
        self._prefix = root
        self._watch = RefWatch(place, deletions=True)
        self._listed: dict[str, Oid] | None = None
        self._changed = True

    def tip(self, ref: str) -> Oid | None:
        """Where a ref is now."""
        return self.read(ref)

    def read(self, ref: str) -> Oid | None:
        """Where a ref is now. Raises OSError if the repository is not there, or another one is."""
        self._stay()
        return super().read(ref)

    def under(self, prefix: str) -> dict[str, Oid]:
        """The refs below a prefix. Raises OSError if the repository is not there, or another one is."""
        self._stay()
        listed = self._follow()
        return {ref: oid for ref, oid in listed.items() if ref.startswith(prefix)}

    def _identity(self) -> tuple[int, int]:
        found = self._at.stat()
        return found.st_dev, found.st_ino

    def _stay(self) -> None:
        (self._at / "HEAD").stat()
        if self._identity() != self._first:
            raise OSError(errno.ESTALE, "another repository has taken the place of this one", str(self._at))

    def fileno(self) -> int:
        """Readable when a ref may have changed; -1 where the system tells no such thing."""
        return self._watch.fileno() if self._watch.whole else -1

    def drain(self) -> bool:
        """Whether a ref may have changed since the last time."""
        with contextlib.suppress(OSError):
            self._follow()
        changed, self._changed = self._changed, False
        return changed

    def _follow(self) -> dict[str, Oid]:
        """All refs under the root as they are now: an event is there before whoever made it knows that it did."""
        names = self._watch.drain()
        if self._listed is None or EVERYTHING in names or not self._watch.whole:
            self._changed, self._listed = True, super().under(self._prefix)
            return self._listed
        for ref in names:
            if ref.startswith(self._prefix):
                self._changed = True
                if oid := super().read(ref):
                    self._listed[ref] = oid
                else:
                    self._listed.pop(ref, None)
        return self._listed


def serve_state(repository: Path, *, pusher: str, may_push: bool, idle: float) -> None:
    """Serves the state in `repository` to one client on stdin and stdout. Raises NotFound if it is no repository."""
    place = place_of(str(repository))
    if place is None:
        raise NotFound(f"not a repository: {str(repository)!r}", hint="check the --repo of cit-serve")
    root = _setting(place, "citgit.refs") or DEFAULT_ROOT
    objects, refs, gate = GitObjects(place), _Refs(place, root), Gate(place, place, is_shipped)
    state = State(
        refs=Refs(root), objects=objects, remote=GitRemote(place, str(place), root), tips=GitTips(place, root),
        verifier=SshVerifier(), clock=SystemClock(), entropy=SystemEntropy(), pinned=_setting(place, "citgit.root"),
    )  # fmt: skip

    def judge(update: Update, offered: Objects) -> str:
        if not may_push:
            return "access denied: this key may only read"
        if len(state.links) > _MOST_LINKS:
            # a client may offer what it likes, and what it offers is remembered
            state.links.clear()
            state.chains.clear()
        refused = admit(replace(state, objects=offered), refs, update, pusher=pusher)
        return str(refused) if refused else ""

    def by_git() -> str:
        return "" if gate.is_open() else "only git runs the hooks, and obeys the settings, of this repository"

    def offer(offered: Iterable[tuple[str, bytes]]) -> Overlay:
        return Overlay(objects, offered)

    serve(Session(root, objects, refs, offer, judge, by_git=by_git), 0, 1, refs, idle=idle)


def _setting(place: Path, key: str) -> str:
    return run(["config", "--get", key], git_dir=place).stdout.decode(errors="replace").strip()
