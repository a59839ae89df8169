"""The judgement of pushes at the host itself: for hooks, which run in the repository that is pushed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from citgit.errors import CitError
from citgit.flows.admit import admit
from citgit.flows.state import State
from citgit.git.hosted import HostedRepository, pushed_objects
from citgit.interfaces import Oid, Update
from citgit.keys.verify import SshVerifier
from citgit.machine import SystemClock, SystemEntropy
from citgit.model.names import DEFAULT_ROOT, Refs

NOTHING = "0" * 40
_STAYS = 300


class _NoMemory:
    """A host remembers its refs by having them."""

    def load(self) -> dict[str, Oid]:
        """Nothing."""
        return {}

    def save(self, changes: Mapping[str, Oid | None]) -> None:
        """Nowhere."""


class HostJudge:
    """Judges pushes to the repository `git_dir`; `idle` (seconds) is how long it should stay when none come."""

    def __init__(self, git_dir: Path) -> None:
        import pygit2

        self._git_dir = git_dir
        config = pygit2.Config(str(git_dir / "config"))
        settings = {name.lower(): text for name in ("citgit.refs", "citgit.hookIdle") if (text := _get(config, name))}
        text = settings.get("citgit.hookidle", str(_STAYS))
        self.idle = float(text) if text.isdigit() else _STAYS
        self._refs = Refs(settings.get("citgit.refs", DEFAULT_ROOT))
        self._state: State | None = None

    def judge(self, updates: Sequence[tuple[str, str, str]], *, quarantine: str = "", pusher: str = "") -> list[str]:
        """For each (old oid, new oid, ref) the rule that it breaks, "" if it may happen. Raises nothing."""
        if not any(ref.startswith(self._refs.root) for _, _, ref in updates):
            return [""] * len(updates)
        try:
            hosted = HostedRepository(self._git_dir)
            state = self._prepared(hosted, Path(quarantine) if quarantine else None)
            return [self._one(state, hosted, update, pusher) for update in updates]
        except Exception as error:  # whatever it is, nothing lands that was not judged
            return [f"the host cannot judge: {type(error).__name__}: {error}"] * len(updates)

    def _one(self, state: State, hosted: HostedRepository, update: tuple[str, str, str], pusher: str) -> str:
        old, new, ref = update
        state.pinned = ""  # a root that somebody only tried to push is not this repository's
        try:
            denied = admit(state, hosted, Update(ref, _oid(old), _oid(new)), pusher=pusher)
        except CitError as error:
            return f"the host cannot judge: {error.message}"
        return str(denied) if denied else ""

    def _prepared(self, hosted: HostedRepository, quarantine: Path | None) -> State:
        """What was verified before stays known; refs and objects are those of this push."""
        objects = pushed_objects(self._git_dir, quarantine)
        if self._state is None:
            self._state = State(
                refs=self._refs, objects=objects, remote=hosted, tips=_NoMemory(), verifier=SshVerifier(),
                clock=SystemClock(), entropy=SystemEntropy(),
            )  # fmt: skip
        self._state.objects, self._state.remote = objects, hosted
        return self._state


def _oid(text: str) -> Oid | None:
    return None if text == NOTHING else text


def _get(config: object, name: str) -> str:
    try:
        return str(config[name])  # type: ignore[index]
    except KeyError:
        return ""
