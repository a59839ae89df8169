"""A repository in memory with real signatures, on which threats are played: honest flows beside forged bytes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chains import request as plain_request
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from citgit.flows.admit import Denied, admit
from citgit.flows.archive import archive
from citgit.flows.builds import Repository
from citgit.flows.policies import fetch_policies
from citgit.flows.poll import poll
from citgit.flows.publishing import publish, seal_of
from citgit.flows.state import Actor, State
from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must
from citgit.interfaces import Entry, Oid, Update
from citgit.keys.ssh_signature import armor, to_sign
from citgit.keys.verify import SshVerifier
from citgit.keys.wire import string
from citgit.model.build import Build
from citgit.model.names import Refs
from citgit.model.policy import PolicyChain, Seal
from citgit.model.record import Body, Claim, Outcome, Progress, Result, Seen
from citgit.model.team import Agent, Person, Pool, Role, Team, TriggerPrincipal
from citgit.records import commit as commits
from citgit.records.envelope import Parent, compose, parent_of
from citgit.rules.ids import day_of, month_of
from citgit.testing.clock import FakeClock, SeededEntropy
from citgit.testing.memory import MemoryHost, MemoryJournal, MemoryObjects, MemoryRemote, MemoryTips

ANNA, BEN, CARA, EVE = "person:anna", "person:ben", "person:cara", "person:eve"
LAB1, LAB2, HOOK = "agent:lab1", "agent:lab2", "agent:hook"


class SeededSigner:
    """An ed25519 key made from a name: real signatures, the same in every run."""

    def __init__(self, name: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._blob = string(b"ssh-ed25519") + string(raw)
        text = self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        self.public_key = text.decode()

    def sign(self, payload: bytes) -> str:
        """An SSHSIG in the namespace `git`."""
        return armor(self._blob, "ssh-ed25519", self._key.sign(to_sign(payload)))


def team(**changes: Any) -> Team:
    """anna and ben request, cara is admin, lab1 and lab2 claim, hook speaks for pushes; eve is a stranger."""
    people = {"anna": (Role.REQUEST,), "ben": (Role.REQUEST,), "cara": (Role.ADMIN, Role.REQUEST)}
    plain: dict[str, Any] = {
        "person": {name: Person(keys=(SeededSigner(f"person:{name}").public_key,), roles=r, groups=("dev",))
                   for name, r in people.items()},
        "agent": {name: Agent(key=SeededSigner(f"agent:{name}").public_key, pools=pools)
                  for name, pools in (("lab1", ("default",)), ("lab2", ("default",)), ("hook", ()))},
        "pool": {"default": Pool(request=("@dev",), maintain=("cara",)), "other": Pool(request=("@dev",))},
        "trigger": {"push": TriggerPrincipal(keys=("@agents", "@dev"), vouches=("hook",))},
    }  # fmt: skip
    return Team(**(plain | changes))


class MemoryHosted:
    """The host's own view of its refs."""

    def __init__(self, host: MemoryHost) -> None:
        self._host = host

    def tip(self, ref: str) -> Oid | None:
        """Where the ref is."""
        return self._host.refs.get(ref)

    def under(self, prefix: str) -> dict[str, Oid]:
        """All refs below the prefix."""
        return {ref: oid for ref, oid in self._host.refs.items() if ref.startswith(prefix)}


@dataclass
class Stage:
    """One host, as many clients as wanted; cara published the root policy."""

    seed: int = 1
    host: MemoryHost = field(default_factory=MemoryHost)
    refs: Refs = field(default_factory=Refs)
    actors: dict[str, Actor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.entropy = SeededEntropy(random.Random(self.seed), self.clock)
        self.state = self.client()
        self.repo = publish(self.state, self.actor(CARA), team(), before=None, seal=Seal())
        self.state.pinned = self.repo

    def client(self, tips: MemoryTips | None = None, host: MemoryHost | None = None) -> State:
        """A client with objects and (unless given) a memory of its own."""
        objects = MemoryObjects()
        return State(
            refs=self.refs, objects=objects, remote=MemoryRemote(host or self.host, objects), tips=tips or MemoryTips(),
            verifier=SshVerifier(), clock=self.clock, entropy=self.entropy,
        )  # fmt: skip

    def actor(self, name: str) -> Actor:
        """The actor of that name with its key."""
        if name not in self.actors:
            self.actors[name] = Actor(name=name, signer=SeededSigner(name), journal=MemoryJournal())
        return self.actors[name]

    @property
    def policies(self) -> PolicyChain:
        """As the host has them now, whatever this clone has seen before."""
        self.state.tips = MemoryTips()
        return fetch_policies(self.state)

    def policy(self, of: Team | None = None, *, seal: bool = True, by: str = CARA, **more: Any) -> Oid:
        """The next policy, pushed."""
        chain = self.policies
        made = seal_of(self.state) if seal else Seal()
        return publish(self.state, self.actor(by), of or chain.tip.team, before=chain, seal=made, **more)

    # -- honest builds ----------------------------------------------------------------------------------

    def request(self, by: str = ANNA, pool: str = "default", build: str = "", **fields: Any) -> str:
        """A request, pushed; the build's id."""
        build = build or self.entropy.build_id()
        self.write(self.refs.build(pool, build), plain_request(**fields), by)
        return build

    def finish(self, build: str, *, pool: str = "default", by: str = LAB1, outcome: Outcome = Outcome.PASSED) -> Oid:
        """Claim, progress and result of a waiting build; the final oid."""
        ref = self.refs.build(pool, build)
        claim = self.write(ref, Claim(attempt=self.build(build, pool).claims + 1), by)
        self.write(ref, Progress(claim=claim, phase="command"), by)
        return self.write(ref, Result(claim=claim, outcome=outcome), by)

    def fold(self, pool: str = "default", by: str = LAB1) -> list[str]:
        """Archives what is final; the ids."""
        return archive(self.state, self.actor(by), Repository(self.state, poll(self.state)), pool)

    def lie(self, entries: Mapping[str, Oid], by: str = EVE, pool: str = "default", *, drop: str = "",
            tip: Entry | None = None) -> Oid:  # fmt: skip
        """An archive commit that changes the entries of these builds to these tips, by someone who asks nobody.

        `drop` is a build whose entry it leaves out, `tip` the file of that name in their place.
        """
        store = self.host.objects
        month, day = (give(next(iter(entries))) for give in (month_of, day_of))
        ref = self.refs.archive(pool, month)
        before = self.tip(ref)
        folders: dict[str, Oid] = {}
        if before:
            top = store.tree(commits.parse(self.data(before)).tree)
            folders = {one.name: one.oid for one in store.tree(next(one.oid for one in top if one.name == day))}
        folders.pop(drop, None)
        for build, final in entries.items():
            text = f"{final} {hashlib.sha256(self.data(final)).hexdigest()}\n".encode()
            folders[build] = store.write_tree([tip or Entry("tip", 0o100644, store.write("blob", text))])
        tree = store.write_tree(Entry(build, 0o40000, oid) for build, oid in folders.items())
        lines = "".join(f"{build} passed\n" for build in entries)
        subject = f"archive: {len(entries)} builds of {pool} in {month}"
        payload = commits.unsigned(
            tree=store.write_tree([Entry(day, 0o40000, tree)]), author=by, mail="x@person.cit", time=1,
            parents=((before,) if before else ()) + tuple(entries.values()), message=f"{subject}\n\n{lines}",
        )  # fmt: skip
        return self.place(ref, commits.signed(payload, self.actor(by).signer.sign(payload)))

    def build(self, build: str, pool: str = "default") -> Build:
        """The build as readers judge it."""
        found = Repository(self.state, poll(self.state)).find(build)
        assert found is not None
        return found

    # -- bytes ------------------------------------------------------------------------------------------

    def tip(self, ref: str) -> Oid | None:
        """Where the host has the ref."""
        return self.host.refs.get(ref)

    def data(self, oid: Oid) -> bytes:
        """A commit's bytes."""
        return self.host.objects.read(oid)[1]

    def record(
        self, ref: str, body: Body, by: str, *, parent: Oid | None = None, signer: str = "", **head: Any
    ) -> bytes:
        """The bytes of a record after `parent` (of the ref's tip, if it is None); `head` overrides its own words."""
        tip = parent or self.tip(ref)
        before = parent_of(self.data(tip)) if tip else None
        policy = head.pop("policy", self.tip(self.refs.policy) or "")
        place = self.refs.parse(ref)
        common: dict[str, Any] = {
            "repo": getattr(self, "repo", ""), "ref": ref, "parent": before, "policy": policy,
            "build": place.leaf if place and place.kind.value in ("builds", "grants") else "",
            "seen": Seen(policy=policy), "actor": by, "nonce": self.entropy.nonce(), "time": self.clock.now(),
        }  # fmt: skip
        payload = compose(body, **(common | head))
        return commits.signed(payload, self.actor(signer or by).signer.sign(payload))

    def write(self, ref: str, body: Body, by: str, **options: Any) -> Oid:
        """A record, pushed without asking anybody."""
        return self.place(ref, self.record(ref, body, by, **options))

    def place(self, ref: str, *datas: bytes) -> Oid:
        """Commits, stored at the host; the ref points at the last."""
        for data in datas:
            self.host.refs[ref] = self.host.objects.write("commit", data)
        return self.host.refs[ref]

    # -- the server's judgement -------------------------------------------------------------------------

    def denied(self, ref: str, *datas: bytes, old: Oid | None = None, pusher: str = "") -> Denied | None:
        """What the hook says to a push of those commits (to a deletion, if there are none)."""
        objects = MemoryObjects()
        objects.content = dict(self.host.objects.content)
        new = None
        for data in datas:
            new = objects.write("commit", data)
        state = self.client()
        state.objects = objects
        return admit(state, MemoryHosted(self.host), Update(ref, old or self.tip(ref), new), pusher=pusher)

    def chain(self, ref: str) -> Sequence[Oid]:
        """The commits at the ref, root first."""
        found, oid = [], self.tip(ref)
        while oid:
            found.append(oid)
            parents = commits.parse(self.data(oid)).parents
            oid = parents[0] if parents else None
        return found[::-1]


def export(stage: Stage, host: Path) -> None:
    """Makes the bare repository `host` what the host in memory is: its objects, its refs, nothing else."""
    if not (host / "HEAD").exists():
        init_bare(host)
    objects = GitObjects(host)
    for kind, data in stage.host.objects.content.values():
        objects.write(kind, data)
    listing = must(["for-each-ref", "--format=%(refname)"], git_dir=host, doing="list").stdout.decode().split()
    lines = [f"delete {ref}" for ref in listing if ref not in stage.host.refs]
    lines += [f"update {ref} {oid}" for ref, oid in stage.host.refs.items()]
    must(["update-ref", "--stdin"], git_dir=host, input="\n".join([*lines, ""]).encode(), doing="set refs")


def clone_of(stage: Stage, host: Path, top: Path, person: str = "anna") -> Path:
    """A person's checkout that knows where the state lives and which root policy to trust."""
    must(["init", "-q", "--", str(top)], doing="make a checkout")
    for key, value in (("state", str(host)), ("person", person), ("root", stage.repo)):
        must(["config", f"citgit.{key}", value], git_dir=top / ".git", doing="set up")
    return top


def at(place: Parent, **changes: Any) -> Parent:
    """A parent that lies."""
    return Parent(**({name: getattr(place, name) for name in ("oid", "sha256", "seq", "policy")} | changes))
