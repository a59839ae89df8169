"""Builders: other users of this machine who run builds, so that no build shares a uid with the key that signs.

The worker logs in as a builder over ssh, where `cit-as` is the only command. Each builder runs one attempt at a time,
in a room: a directory of the worker's that the builder may enter, and whose entries it cannot exchange. When the
attempt is over everything of the builder's is killed, and the room is closed to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from citgit.errors import Errored, UsageError
from citgit.executors import handover
from citgit.executors.attempt import cannot
from citgit.model.plan import Plan, Probe, Room

_ADDRESS = re.compile(r"[a-z_][a-z0-9_-]{0,31}@[a-z0-9][a-z0-9.-]{0,62}")
_SSH = (
    "ssh", "-T", "-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes", "-o", "ForwardAgent=no",
    "-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "PermitLocalCommand=no", "-o", "EscapeChar=none",
    "-o", "NoHostAuthenticationForLocalhost=yes", "-o", "LogLevel=ERROR", "--",
)  # fmt: skip
_VERSION = "cit-as 1"
_LOCK = ".worker"
_CALL_S = 30
_TAKE_S = 900
_SWEEPS = 5


@dataclass(slots=True)
class Builder:
    """One of them: `user@host`, where the host is this machine; `rooms` and `uid` once they are known.

    `held` is the descriptor of the lock by which it is this worker's.
    """

    address: str
    rooms: Path = Path()
    uid: int = -1
    held: int = -1

    @property
    def user(self) -> str:
        """The user's name."""
        return self.address.partition("@")[0]


@dataclass(slots=True)
class Builders:
    """All of a worker's; `state` keeps who is busy, `private` is what none of them may read, `tools` what all may."""

    addresses: Sequence[str]
    state: Path
    attempts: Path
    private: Sequence[Path]
    tools: Path
    found: dict[str, Builder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for address in self.addresses:
            if not _ADDRESS.fullmatch(address):
                raise UsageError(f"not a builder: {address[:80]!a}", hint="name it as USER@localhost")
        if len(set(self.addresses)) < len(self.addresses):
            raise UsageError("a builder is named twice", hint="each builds one thing at a time")
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)

    def probe(self) -> Probe:
        """Whether each of them is somebody else who can neither read our keys nor change its own home."""
        for address in self.addresses:
            if address not in self.found:
                try:
                    builder = self._met(address)
                except Errored as fault:
                    return Probe(ok=False, reason=fault.message)
                self.found[address] = builder
        return Probe(ok=True)

    def _met(self, address: str) -> Builder:
        asked = "".join(f"{path}\n" for path in self.private if "\n" not in str(path))
        said = self._call(address, "probe", asked.encode()).decode(errors="replace").splitlines()
        about = dict(line.partition(" ")[::2] for line in said[1:3])
        builder = Builder(address, Path(about.get("rooms", "")), int(about.get("uid", "-1")))
        if said[:1] != [_VERSION] or not builder.rooms.is_absolute():
            raise Errored(f"builder '{address}' does not answer as '{_VERSION}' does", hint="cit-as install makes one")
        if builder.uid in (-1, 0, os.geteuid()) or builder.uid in (one.uid for one in self.found.values()):
            raise Errored(f"builder '{address}' has uid {builder.uid}, which is no user of its own")
        if opened := [line[5:] for line in said[3:] if line.startswith("open ")]:
            raise Errored(f"builder '{address}' can read or change '{opened[0]}'", hint="its builds could, too")
        try:
            about_rooms = builder.rooms.lstat()
        except OSError as fault:
            raise Errored(f"cannot reach the rooms of builder '{address}': {fault}") from fault
        if about_rooms.st_uid != os.geteuid() or about_rooms.st_mode & 0o007:
            raise Errored(f"the rooms of builder '{address}' are not this worker's alone: '{builder.rooms}'")
        builder.held = os.open(builder.rooms / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(builder.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(builder.held)
            raise Errored(
                f"builder '{address}' serves another worker", hint="each worker needs builders of its own"
            ) from None
        return builder

    def machine(self, tools: Iterable[str] | None) -> None:
        """None: it is this one."""

    def room(self, claim: str, name: str) -> Room:
        """A builder that has nothing to do, kept for that claim. Raises Errored if all are busy."""
        for builder in self.found.values():
            if self.is_idle(builder):
                self._note(builder, claim)
                return self._room(builder, claim)
        raise Errored("no builder is free", hint="the worker has more slots than builders, or one cannot be swept")

    def _room(self, builder: Builder, claim: str) -> Room:
        place = builder.rooms / claim
        return Room(
            builder=builder.address, user=builder.user, place=str(place), workspace=str(place / "work"),
            home=str(place / "home"), temporary=str(place / "tmp"), log=str(place / "log"), tools=str(place / "tools"),
        )  # fmt: skip

    def is_idle(self, builder: Builder) -> bool:
        """Whether it is swept of its last attempt, whose files were collected; or that one is over some other way."""
        claim, left = self._holder(builder)
        attempt = self.attempts / claim
        if not claim or not attempt.is_dir() or (attempt / ".finished").exists():
            return True
        return left and (attempt / "result.json").exists()

    def _holder(self, builder: Builder) -> tuple[str, bool]:
        """The claim that has the builder, and whether the builder is swept of it already."""
        try:
            claim, _, left = (self.state / builder.user).read_text().partition(" ")
        except FileNotFoundError:
            return "", True
        return claim, bool(left)

    def _note(self, builder: Builder, text: str) -> None:
        scratch = self.state / f".{builder.user}.new"
        scratch.write_text(text)
        scratch.replace(self.state / builder.user)

    def enter(self, plan: Plan) -> None:
        """Makes the room and fills it. Raises Errored."""
        builder = self._of(plan)
        if self._holder(builder)[0] != plan.claim:
            raise Errored(f"builder '{builder.address}' is busy with another attempt")
        if not self._is_empty(builder):
            self._sweep(builder)
        for old in builder.rooms.iterdir():
            if old.name != _LOCK:
                self._drop(builder, old)
        room = Path(self._room(builder, plan.claim).place)
        umask = os.umask(0o007)
        try:
            room.mkdir(mode=0o770)  # the group is the builder's: the folder above hands it on
        except OSError as fault:
            raise cannot(f"make the room '{room}'", fault) from fault
        finally:
            os.umask(umask)
        self._hand(builder, plan)

    def _drop(self, builder: Builder, old: Path) -> None:
        old.chmod(0o770)
        self._call(builder.address, f"drop {old.name}")
        old.rmdir()

    def _hand(self, builder: Builder, plan: Plan) -> None:
        argv = self.login(builder.address, f"take {plan.claim}")
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as taker:
            assert taker.stdin is not None
            try:
                handover.send(Path(plan.laid), self.tools, taker.stdin)
                taker.stdin.close()
                fault = ""
            except OSError as error:
                fault = str(error)
            taker.stdin = None
            try:
                said = taker.communicate(timeout=_TAKE_S)[1].decode(errors="replace").strip()
            except subprocess.TimeoutExpired:
                taker.kill()
                said = f"no end after {_TAKE_S} s"
        if fault or taker.returncode:
            raise Errored(f"builder '{builder.address}' did not take the workspace: {said or fault}")

    def shut(self, plan: Plan) -> Path:
        """The room, from now on with entries that the builder cannot exchange. Raises Errored."""
        place = Path(self._room(self._of(plan), plan.claim).place)
        try:
            place.chmod(0o750)
        except OSError as fault:
            raise cannot(f"close the room '{place}'", fault) from fault
        return place

    def term(self, plan: Plan) -> None:
        """Asks everything of the builder's to end; a builder that cannot be reached is swept later."""
        if plan.builder in self.addresses:
            self._try(plan.builder, "term")

    def leave(self, plan: Plan) -> None:
        """Ends everything of the builder's, and closes the room; nothing if that was done. Raises Errored."""
        builder = self._of(plan)
        if self._holder(builder) != (plan.claim, False):
            return
        self._sweep(builder)
        room = Path(self._room(builder, plan.claim).place)
        directory = Path(plan.directory)
        try:
            if room.is_dir():
                room.chmod(0o700)
                own = room / "own"
                (directory / "usage.inner").write_bytes(
                    handover.words(own, "usage.inner") + handover.words(own, "usage")
                )
                (directory / "bwrap.status").write_bytes(handover.words(own, "bwrap.status"))
                (directory / "status").write_bytes(handover.words(own, "status"))
                (room / "bwrap.options").unlink(missing_ok=True)  # it holds the environment
                if not plan.secrets:
                    handover.take_parts(room, directory / "log" / "parts", plan.output)
        except OSError as fault:
            raise cannot(f"take over what builder '{builder.address}' left", fault) from fault
        # not free yet: the room is wanted until the attempt is finished
        self._note(builder, f"{plan.claim} left")

    def _sweep(self, builder: Builder) -> None:
        for _ in range(_SWEEPS):
            if self._try(builder.address, "sweep") is None:  # it ends its own login with all the rest
                break
            if self._is_empty(builder):
                return
            time.sleep(0.05)
        raise Errored(f"cannot end all processes of builder '{builder.address}'", hint="look at them with ps")

    def _is_empty(self, builder: Builder) -> bool:
        done = self._try(builder.address, "idle")
        return done is not None and done.returncode == 0

    def _of(self, plan: Plan) -> Builder:
        if not self.probe().ok or plan.builder not in self.found:
            raise Errored(f"builder '{plan.builder}' is not there any more: {self.probe().reason or 'not configured'}")
        return self.found[plan.builder]

    def run(self, plan: Plan, script: bytes) -> str | None:
        """Runs a script to its end; what it said if it failed. Raises Errored."""
        done = self._try(self._of(plan).address, f"run {plan.claim}", script)
        if done is not None and done.returncode == 0:
            return None
        return done.stderr.decode(errors="replace").strip()[-300:] if done else "no answer"

    def processes(self, plan: Plan) -> set[int]:
        """The builder's processes, as far as they show whose they are."""
        found: set[int] = set()
        builder = self.found.get(plan.builder)
        if builder is None:
            return found  # the worker before this one had it; it cannot be asked now
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and os.stat(f"/proc/{name}").st_uid == builder.uid:
                    found.add(int(name))
        return found

    def login(self, address: str, words: str) -> list[str]:
        """The command line that runs these words of `cit-as` as the builder."""
        return [*_SSH, address, words]

    def _try(self, address: str, words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes] | None:
        try:
            return subprocess.run(
                self.login(address, words), input=given, capture_output=True, timeout=_CALL_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None

    def _call(self, address: str, words: str, given: bytes = b"") -> bytes:
        done = self._try(address, words, given)
        if done is None or done.returncode:
            said = done.stderr.decode(errors="replace").strip() if done else f"no answer in {_CALL_S} s"
            raise Errored(
                f"builder '{address}' did not {words.partition(' ')[0]}: {said[-300:] or 'no word'}",
                hint=f"try: ssh {address} probe </dev/null",
            )
        return done.stdout
