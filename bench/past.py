"""Makes a past: a state repository with any number of archived builds, in the layout that workers write.

Chains are signed with the keys of the policy and judge as valid. With `whole` every build has one. Without, only the
newest and every hundredth have; the folders of the others repeat those of their neighbours. So the trees, the days,
the archive commits and their lines are as large as they would be, and only the number of objects in the pack is not.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from bench.stage import AGENT, Stage
from citgit.flows.poll import poll
from citgit.flows.state import Snapshot
from citgit.interfaces import Signer
from citgit.model.job import Job
from citgit.model.record import Body, Cause, Claim, Config, Outcome, PinnedSource, Request, Result, Seen, Usage
from citgit.records import commit as commits
from citgit.records.envelope import Parent, compose
from citgit.rules.ids import day_of, month_of, time_of
from citgit.wiring.clone import Clone, open_clone
from citgit.wiring.keys import signer_for

PER_FOLD = 500
NEWEST = 2_000
EVERY = 100
DAYS = 31
_CODES = {"commit": 1, "tree": 2, "blob": 3, "delta": 7}


def fill(stage: Stage, count: int, *, whole: bool = False) -> list[str]:
    """Archives `count` builds of the last month in the state repository; the ids that have a chain, oldest first."""
    if not count:
        return []
    clone = open_clone(stage.checkout)
    past = _Past(clone, poll(clone.state), signer_for(Path(stage.env["CITGIT_HOME"]) / "keys" / AGENT))
    pack = _Pack(stage.state)
    made = past.build(pack, count, whole=whole)
    pack.close()
    for ref, oid in past.tips.items():
        stage.run("git", "-C", str(stage.state), "update-ref", ref, oid)
    return made


class _Pack:
    """A pack on its way into a repository."""

    def __init__(self, state: Path) -> None:
        self._path = state / "objects" / "pack" / "past.pack.tmp"
        self._state = state
        self._file = open(self._path, "wb", buffering=1 << 20)  # noqa: SIM115
        self._file.write(b"\0" * 12)
        self._count = 0

    def add(self, kind: str, data: bytes) -> str:
        """One object; its name."""
        self._entry(kind, len(data), b"", data)
        return commits.oid_of(kind, data)

    def grown(self, before: str, size: int, added: bytes) -> None:
        """A tree that is the one named `before`, `size` bytes long, with `added` after it: as git would pack it."""
        delta = bytearray(_varint(size) + _varint(size + len(added)))
        for at in range(0, size, 0xFFFFFF):
            part = min(size - at, 0xFFFFFF)
            delta += b"\xff" + at.to_bytes(4, "little") + part.to_bytes(3, "little")
        for at in range(0, len(added), 127):
            delta += bytes([len(added[at : at + 127])]) + added[at : at + 127]
        self._entry("delta", len(delta), bytes.fromhex(before), bytes(delta))

    def close(self) -> None:
        """Hands the pack to git, which checks and indexes it."""
        self._file.seek(0)
        self._file.write(b"PACK" + (2).to_bytes(4, "big") + self._count.to_bytes(4, "big"))
        self._file.close()
        digest = hashlib.sha1(usedforsecurity=False)
        with open(self._path, "rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
        with open(self._path, "ab") as file:
            file.write(digest.digest())
        with open(self._path, "rb") as file:
            subprocess.run(
                ["git", "-C", str(self._state), "index-pack", "--stdin"], stdin=file, check=True, capture_output=True
            )
        self._path.unlink()

    def _entry(self, kind: str, size: int, base: bytes, data: bytes) -> None:
        first, rest = (_CODES[kind] << 4) | (size & 15), size >> 4
        head = bytearray([first | (0x80 if rest else 0)])
        if rest:
            head += _varint(rest)
        self._file.write(bytes(head) + base + zlib.compress(data, 1))
        self._count += 1


@dataclass(slots=True)
class _Archive:
    """One archive while it grows."""

    tip: str = ""
    days: dict[str, tuple[str, bytearray]] = field(default_factory=dict)


class _Past:
    """What all builds have in common."""

    def __init__(self, clone: Clone, snapshot: Snapshot, lab: Signer) -> None:
        self.clone, self.snapshot, self.lab = clone, snapshot, lab
        self.anna = clone.actor().signer
        self.random = random.Random(1)
        self.tips: dict[str, str] = {}

    def build(self, pack: _Pack, count: int, *, whole: bool) -> list[str]:
        """Writes everything; the ids that have a chain."""
        made: list[str] = []
        archives: dict[str, _Archive] = {}
        neighbour: tuple[str, str, str] | None = None
        lines: list[tuple[str, str, str, str]] = []
        ids = list(self._ids(count))
        for at, build in enumerate(ids):
            job = "rare" if at % 10_000 == 17 else "noop"
            branch = f"topic/{at % 50}" if at % 5 == 0 else "main"
            if whole or neighbour is None or at % EVERY == 17 or at >= count - NEWEST:
                neighbour = self._chain(pack, build, job, branch)
                made.append(build)
            tip, folder, commit = neighbour
            lines.append((build, folder, tip, f"{build} passed {commit} person:anna {job}@{branch}\n"))
            month = month_of(build)
            if len(lines) == PER_FOLD or at == count - 1 or month_of(ids[at + 1]) != month:
                self._fold(pack, archives.setdefault(month, _Archive()), month, lines)
                lines = []
        refs = self.clone.state.refs
        self.tips = {refs.archive("default", month): archive.tip for month, archive in archives.items()}
        return made

    def _ids(self, count: int) -> Iterator[str]:
        end = int(time.time() * 1000) - 3_600_000
        step = DAYS * 86_400_000 / count
        for at in range(count):
            bits = (int(end - (count - at) * step) << 80) | self.random.getrandbits(80)
            bits = bits & ~(0xF << 76) | (0x7 << 76)
            yield str(UUID(int=bits & ~(0x3 << 62) | (0x2 << 62)))

    def _chain(self, pack: _Pack, build: str, job: str, branch: str) -> tuple[str, str, str]:
        """Request, claim and result; the tip, the folder of the archive, the commit that was built."""
        commit = hashlib.sha1(build.encode(), usedforsecurity=False).hexdigest()
        request = Request(
            job=job, branch=branch, config=Config(branch=branch, commit=commit), definition=Job(command=("true",)),
            sources=(PinnedSource(ref=f"refs/heads/{branch}", commit=commit),), cause=Cause(),
        )  # fmt: skip
        entries: list[tuple[str, str]] = []
        parent = self._record(pack, build, request, "person:anna", self.anna, None, entries)
        claim = Claim(attempt=1, boot="0011223344556677", node="bench")
        parent = self._record(pack, build, claim, f"agent:{AGENT}", self.lab, parent, entries)
        result = Result(claim=parent.oid, outcome=Outcome.PASSED, usage=Usage(wall_ms=1200, cpu_ms=300))
        parent = self._record(pack, build, result, f"agent:{AGENT}", self.lab, parent, entries)
        entries.append(("tip", pack.add("blob", f"{parent.oid} {parent.sha256}\n".encode())))
        tree = b"".join(b"100644 %s\0%s" % (name.encode(), bytes.fromhex(oid)) for name, oid in sorted(entries))
        return parent.oid, pack.add("tree", tree), commit

    def _record(
        self, pack: _Pack, build: str, body: Body, actor: str, signer: Signer, parent: Parent | None,
        entries: list[tuple[str, str]],
    ) -> Parent:  # fmt: skip
        policies = self.snapshot.policies
        payload = compose(
            body, repo=policies.repo, ref=self.clone.state.refs.build("default", build), build=build, parent=parent,
            policy=policies.tip.oid, seen=Seen(policy=policies.tip.oid), actor=actor,
            nonce=f"{self.random.getrandbits(128):032x}", time=time_of(build) // 1000,
        )  # fmt: skip
        data = commits.signed(payload, signer.sign(payload))
        kind = type(body).__name__.lower()
        entries.append((f"{len(entries)}-{kind}.json", pack.add("blob", data.split(b"\n\n", 2)[-1])))
        seq = parent.seq + 1 if parent else 0
        oid, digest = pack.add("commit", data), hashlib.sha256(data).hexdigest()
        return Parent(oid=oid, sha256=digest, seq=seq, policy=policies.tip.oid)

    def _fold(self, pack: _Pack, archive: _Archive, month: str, lines: list[tuple[str, str, str, str]]) -> None:
        added: dict[str, bytearray] = {}
        for build, folder, _, _ in lines:
            entry = b"40000 %s\0%s" % (build.encode(), bytes.fromhex(folder))
            added.setdefault(day_of(build), bytearray()).extend(entry)
        for day, entries in added.items():
            before, tree = archive.days.get(day, ("", bytearray()))
            if before:
                pack.grown(before, len(tree), bytes(entries))
                tree += entries
                archive.days[day] = commits.oid_of("tree", bytes(tree)), tree
            else:
                archive.days[day] = pack.add("tree", bytes(entries)), entries
        days = sorted(archive.days.items())
        top = b"".join(b"40000 %s\0%s" % (day.encode(), bytes.fromhex(oid)) for day, (oid, _) in days)
        tips = tuple(dict.fromkeys(tip for _, _, tip, _ in lines))
        payload = commits.unsigned(
            tree=pack.add("tree", top), parents=((archive.tip,) if archive.tip else ()) + tips,
            author=f"agent:{AGENT}", mail=f"{AGENT}@agent.cit", time=time_of(lines[-1][0]) // 1000,
            message=f"archive: {len(lines)} builds of default in {month}\n\n" + "".join(line for *_, line in lines),
        )  # fmt: skip
        archive.tip = pack.add("commit", commits.signed(payload, self.lab.sign(payload)))


def _varint(value: int) -> bytes:
    made = bytearray()
    while True:
        made.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(made)
