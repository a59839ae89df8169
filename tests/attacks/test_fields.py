"""Threat: an insider's record with a hostile text in any of its fields. It is refused or shown; nobody is stopped."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from chains import request
from samples import BODIES
from stage import ANNA, CARA, LAB1, LAB2, SeededSigner, Stage, clone_of, export

from citgit.errors import BadRecord, CitError, Unsupported
from citgit.flows.enqueue import Doors
from citgit.flows.telling import Event
from citgit.flows.worker import Worker
from citgit.interfaces import Oid, Revision
from citgit.model import record as records
from citgit.model.job import CitToml, Env, Job, Keep, Requires, ResolvedJob, Value
from citgit.model.names import is_oid
from citgit.model.record import (
    Body,
    Claim,
    Component,
    FirstError,
    LogSummary,
    Pause,
    Probed,
    Progress,
)
from citgit.programs.cit import main
from citgit.records import canonical
from citgit.records import commit as commits
from citgit.records.envelope import read_record
from citgit.testing.simulation.node import Attempts, Branch, SameConfig

EVIL = [
    "", "..", "../../../../etc/passwd", "/etc/passwd", "--upload-pack=touch citgit-canary", "$(touch citgit-canary)",
    "a\nb", "\x1b]8;;http://x\x07", "\u202e\u2066", "\0", "x" * 4096, "<script>", "{{7*7}}", "refs/cit/policy",
    "person:eve", "@agents", "f" * 40, "0" * 40, "01890000-0000-7000-8000-000000000001", "9" * 30, "[red]x[/red]",
    "ext::sh -c x", "\U0001f4a9",
]  # fmt: skip
JOB = Job(
    command=("true",), description="d", env=Env(set={"A": "b"}, pass_=("C",), secrets=("s",)),
    requires=Requires(os="linux", tools=("make",), image="i", labels=("l",)), keep=Keep(artifacts=("a",), junit=("j",)),
)  # fmt: skip
RICH: dict[str, Body] = BODIES | {
    "request": request(
        definition=JOB, cell={"cc": "gcc"}, parameters={"p": "q"}, on="lab2", prefer="lab2", retry_of=EVIL[-5],
        readers=("ben",), probed=(Probed(agent="lab2", lacks=("make",), away="a"),),
    ),
    "claim": Claim(attempt=1, boot="b1", node="n", executor="process", attempt_key="k", upstream={"a": "f" * 40}),
    "progress": Progress(claim="c" * 40, phase="command", message="m", where="n:/x"),
    "result": msgspec.structs.replace(
        BODIES["result"], first_error=FirstError(component="c", file="f", message="m", context=("x",)),
        tests=records.Tests(total=1, failed=1, failures=("t",), slowest=(records.TestTime(name="t", ms=1),)), key="k",
        components=(Component(path="a/b", outcome="failed"),), environment={"cc": "12"},
        log=LogSummary(where="n:/x", tail=("t",)),
    ),
}  # fmt: skip
WHO = {
    "request": ANNA, "claim": LAB1, "progress": LAB1, "result": LAB1, "lost": CARA, "expired": LAB1, "pause": ANNA,
    "resume": ANNA, "cancel": ANNA, "supersede": ANNA, "reused": LAB1, "skipped": LAB1, "moved": CARA,
    "priority": ANNA, "advert": LAB1, "beat": LAB1, "lock": LAB1, "grant": CARA,
}  # fmt: skip
HELD = ("progress", "result", "lost")


class Made(NamedTuple):
    """A forged record: where it stands, its bytes, what was changed in it."""

    ref: str
    data: bytes
    words: str


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each text in a document, keys of tables too (these end in None)."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from texts(one, (*path, key))
            yield (*path, key, None)
    elif isinstance(value, Sequence):
        for at, one in enumerate(value):
            yield from texts(one, (*path, at))


def changed(document: Any, path: tuple[Any, ...], evil: str) -> Any:
    """A copy of the document with that text in its place."""
    made = json.loads(json.dumps(document))
    inner = made
    steps = path[:-2] if path[-1] is None else path[:-1]
    for step in steps:
        inner = inner[step]
    if path[-1] is None:
        inner[evil] = inner.pop(path[-2])
    else:
        inner[path[-1]] = evil
    return made


class Insiders:
    """A stage on which members of the team push forged records, each under a build of its own."""

    def __init__(self) -> None:
        self.stage = Stage()

    def forge(self, kind: str, path: tuple[Any, ...], evil: str, *, head: bool = False) -> Made | None:
        """A record of that type with the text in it, well signed; None if no document can hold it."""
        stage, body, who = self.stage, RICH[kind], WHO[kind]
        build = stage.entropy.build_id()
        ref = stage.refs.build("default", build)
        if kind in ("advert", "beat"):
            ref = stage.refs.agent("lab1", f"b{build}")
            if kind == "beat":
                stage.write(ref, msgspec.structs.replace(BODIES["advert"], boot=f"b{build}"), LAB1)
        elif kind in ("lock", "grant"):
            ref = stage.refs.lock(f"l{build}") if kind == "lock" else stage.refs.grant(stage.request())
        elif kind != "request":
            stage.request(build=build, max_attempts=1)
            if kind == "resume":
                stage.write(ref, Pause(), ANNA)
            if kind in HELD:
                body = msgspec.structs.replace(body, claim=stage.write(ref, Claim(attempt=1), LAB1))  # type: ignore[call-arg]
        read = commits.parse(stage.record(ref, body, who))
        subject, _, text = read.message.partition("\n\n")
        whole = json.loads(text)
        try:
            forged = canonical.dumps(
                changed(whole, path, evil) if head else whole | {"body": changed(whole["body"], path, evil)}
            )
        except CitError:
            return None
        payload = commits.unsigned(
            tree=read.tree, parents=read.parents, author=read.author, mail=read.mail, time=read.time,
            message=f"{subject}\n\n{forged}\n",
        )  # fmt: skip
        return Made(ref, commits.signed(payload, SeededSigner(who).sign(payload)), f"{kind} {path} {evil[:30]!r}")

    def every(self, kind: str, choose: Callable[[int], Sequence[str]]) -> Iterator[Made]:
        """One for each text of the body and of the head, with each of the texts chosen for it."""
        ref = self.stage.refs.build("default", self.stage.entropy.build_id())
        head = json.loads(commits.parse(self.stage.record(ref, BODIES["cancel"], ANNA)).message.partition("\n\n")[2])
        head.pop("body")
        ways = [(path, False) for path in texts(msgspec.to_builtins(RICH[kind]))]
        ways += [(path, True) for path in texts(head) if path[-1] is not None]
        for at, (path, outer) in enumerate(ways):
            # an insider may stop all by naming what nobody has: 'cit verify' says who, and the next policy ends it
            stops = outer and path[0] in ("policy", "seen")
            for evil in (one for one in choose(at) if not (stops and is_oid(one))):
                if made := self.forge(kind, path, evil, head=outer):
                    yield made


@pytest.mark.parametrize("kind", WHO)
def test_what_is_read_is_a_record_or_a_typed_fault(kind: str) -> None:
    """Every text of every type by every hostile one: a record, or BadRecord with a printable line."""
    read, said = 0, []
    for made in Insiders().every(kind, lambda at: EVIL):
        try:
            read_record(commits.parse(made.data))
            read += 1
        except (BadRecord, Unsupported) as error:
            said.append(error.message)
    assert read
    assert all(one.isprintable() for one in said)


class Known(Branch):
    """Sources that have every commit."""

    def fetch(self, url: str, commit: Oid, ref: str = "") -> Revision:
        """It is there."""
        return Revision(commit, 1)


class OneJob(SameConfig):
    """The job of the honest build at every commit."""

    def read(self, files: Mapping[str, bytes]) -> CitToml:
        """The job."""
        return CitToml(job={"check": Job(command=("true",))})

    def resolve(self, config: CitToml, job: str, parameters: Mapping[str, Value]) -> list[ResolvedJob]:
        """The job as it stands."""
        return [ResolvedJob(name=job, cell={}, parameters={}, job=config.job["check"])]


def worker(stage: Stage, told: list[Event]) -> Worker:
    """lab2's, on a machine that builds nothing really; the honest request is before all others."""
    doors = Doors(sources=Known(random.Random(0)), configs=OneJob())
    return Worker(
        state=stage.client(), actor=stage.actor(LAB2), doors=doors, url="self", pools=["default"], boot="b0",
        workshop=Attempts(random.Random(0), lambda build, claim: None, 2), node="memory", slots=4, tell=told.append,
    )  # fmt: skip


@cache
def pushed() -> tuple[Insiders, str, list[Made]]:
    """Every type with a hostile text in each of its fields that a reader takes, at the host; and an honest request."""
    insiders = Insiders()
    stage = insiders.stage
    honest = stage.request(definition=Job(command=("true",)), priority=100)
    done = []
    for kind in WHO:
        source = random.Random(kind)
        for made in insiders.every(kind, lambda at, source=source: source.sample(EVIL, 1)):
            stage.place(made.ref, made.data)
            done.append(made)
    return insiders, honest, done


def test_a_worker_goes_on() -> None:
    """Beside all of them it builds what is honest, and no step of its turn fails for all."""
    insiders, honest, done = pushed()
    told: list[Event] = []
    mine = worker(insiders.stage, told)
    for _ in range(6):
        insiders.stage.clock.advance(1)
        mine.turn()
    assert len(done) > 300
    assert insiders.stage.build(honest).is_final
    assert not [one for one in told if one.kind == "error" and not one.build], told[-20:]


@pytest.mark.heavy
def test_readers_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """Listings and checks of all of them, and each verb at a few of each type: no bug, no control character."""
    for key, value in {"HOME": str(tmp_path), "CITGIT_HOME": str(tmp_path / "h"), "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(key, value)
    insiders, honest, done = pushed()
    export(insiders.stage, tmp_path / "host.git")
    top = str(clone_of(insiders.stage, tmp_path / "host.git", tmp_path / "anna"))
    few = {made.words.split(" (")[0]: made for made in random.Random(1).sample(done, len(done))}
    chosen = [honest, *(ref.rpartition("/")[2] for ref, _, _ in few.values() if "/builds/" in ref)]
    verbs: list[list[str]] = [
        ["status", "--all"],
        ["status", "--all", "--json"],
        ["verify", "--all"],
        ["agent", "list"],
    ]
    for argv in verbs + [[verb, one] for one in chosen for verb in ("show", "why", "log")]:
        status = main([*argv, "-C", top])
        said = capsys.readouterr()
        assert status != 70, (argv, said.err[-2000:])
        assert "Traceback" not in said.err, argv
        assert not [char for char in said.out + said.err if not char.isprintable() and char != "\n"], argv
