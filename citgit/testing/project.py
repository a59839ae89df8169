"""A made-up project: the builds of some weeks as values, for pages to be tried and looked at without any git."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from citgit.model.build import Build, Entry, Held, Link
from citgit.model.job import Job
from citgit.model.record import (
    Artifact,
    Assurance,
    Body,
    Cause,
    CauseKind,
    Claim,
    Component,
    Config,
    Decision,
    Exit,
    FirstError,
    Head,
    LogSummary,
    Outcome,
    PinnedSource,
    Record,
    Request,
    Result,
    Tests,
    TestTime,
    Usage,
)
from citgit.pages.world import AgentRow, LogPart, World

NOW = 1_772_712_000
"""5 March 2026, 12:00 UTC."""

_DAYS = 30
_ORIGIN = "https://codeberg.org/example/harbour.git"
_KEYS = {
    name: f"ssh-ed25519 {'AAAAC3NzaC1lZDI1NTE5AAAAI' + hashlib.sha256(name.encode()).hexdigest()[:42]}A="
    for name in ("person:anna", "person:ben", "person:chloe", "agent:oak", "agent:elm", "agent:birch")
}
_COMMANDS = {
    "compile": ("make", "-j4"), "test": ("pytest", "--junitxml=results.xml"), "lint": ("make", "lint"),
    "package": ("make", "dist"), "docs": ("make", "docs"),
}  # fmt: skip
_USUAL = {"compile": 94_000, "test": 212_000, "lint": 21_000, "package": 38_000, "docs": 47_000}
_SLOW = {
    "tests/test_store.py::test_many_writers": 31_400, "tests/test_net.py::test_slow_peer": 22_800,
    "tests/test_store.py::test_crash_in_the_middle": 11_050, "tests/test_parse.py::test_large_file": 6_700,
}  # fmt: skip
_FLAKY = "tests/test_net.py::test_reconnects"
_COMPILE_ERROR = FirstError(
    component="src/parser", file="src/parser/token.c", line=118, message="expected ';' before 'return'",
    context=(
        "cc -O2 -Wall -c -o token.o token.c", "token.c: In function 'next_token':",
        "token.c:118:27: error: expected ';' before 'return'", "  118 |     size_t length = end - start",
        "      |                           ^", "      |                           ;",
    ),
)  # fmt: skip
_TEST_ERROR = FirstError(
    component="tests", file="tests/test_parse.py", line=57, message="AssertionError: assert 'a,b' == 'a, b'",
    context=(
        "    def test_keeps_spaces(sample):", "        found = parse(sample).text",
        ">       assert found == 'a, b'", "E       AssertionError: assert 'a,b' == 'a, b'",
        "E         - a, b", "E         + a,b", "tests/test_parse.py:57: AssertionError",
    ),
)  # fmt: skip


@dataclass(slots=True)
class Project:
    """The builds, oldest first; `world` is what a report is made of."""

    builds: dict[str, Build] = field(default_factory=dict)
    parts: dict[str, Sequence[LogPart]] = field(default_factory=dict)
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def world(self, live: bool = False) -> World:
        """What a report of this project is made of."""
        return World(
            name="harbour", root=_hex("root", 40), policy=_hex("policy", 40), policy_version=12, origin=_ORIGIN,
            tips={build: self.builds[build].tip for build in sorted(self.builds, reverse=True)}, now=NOW, live=live,
            load=self.builds.__getitem__, log=lambda build: self.parts.get(build.id, ()), agents=_agents(),
            differences=_differences,
        )  # fmt: skip


def project() -> Project:
    """Four weeks of a team of three."""
    made = Project()
    for day in range(_DAYS):
        for at in range(made.random.choice((1, 2, 2, 3))):
            seconds = NOW - (_DAYS - day) * 86400 + 9 * 3600 + at * 9000 + made.random.randrange(3000)
            branch = ("main", "main", "topic/fast-parser", "release/2.1")[made.random.randrange(4)]
            _push(made, seconds, branch, broken=day in (9, 17, 18) and branch == "main")
    _push(made, NOW - 9000, "topic/fast-parser", broken=True)
    _push(made, NOW - 5400, "main", broken=False, red_test=True)
    _active(made)
    return made


def _push(made: Project, seconds: int, branch: str, *, broken: bool, red_test: bool = False) -> None:
    """The pipeline that a push asks for."""
    chance = made.random
    first = _id(chance, seconds)
    compiled = Outcome.FAILED if broken else Outcome.PASSED
    _add(made, first, "compile", branch, seconds, compiled, first, error=_COMPILE_ERROR if broken else None)
    begin = seconds + _USUAL["compile"] // 1000 + 6
    flaky = chance.random() < 0.12
    for cell in ({"python": "3.11"}, {"python": "3.13"}):
        if broken:
            _add(made, _id(chance, seconds), "test", branch, begin, Outcome.SKIPPED, first, cell=cell)
            continue
        red = red_test and cell["python"] == "3.13"
        failures = ("tests/test_parse.py::test_keeps_spaces",) if red else (_FLAKY,) if flaky else ()
        outcome = Outcome.FAILED if failures else Outcome.PASSED
        error = _TEST_ERROR if red else FirstError(component="tests", message="TimeoutError: no answer in 2 s")
        tests = Tests(
            total=418, failed=len(failures), skipped=3, failures=failures,
            slowest=tuple(TestTime(name=name, ms=ms + chance.randrange(900)) for name, ms in _SLOW.items()),
        )  # fmt: skip
        _add(
            made, _id(chance, seconds), "test", branch, begin, outcome, first, cell=cell, tests=tests,
            error=error if failures else None,
        )  # fmt: skip
        if flaky:
            _add(made, _id(chance, seconds), "test", branch, begin + 900, Outcome.PASSED, first, cell=cell,
                 tests=Tests(total=418, skipped=3))  # fmt: skip
            flaky = False
    if not broken:
        _add(made, _id(chance, seconds), "package", branch, begin + 2, Outcome.PASSED, first)
    for job in ("lint", "docs"):
        root = _id(chance, seconds)
        ended = Outcome.ERRORED if job == "docs" and chance.random() < 0.05 else Outcome.PASSED
        _add(made, root, job, branch, seconds, ended, root)


def _add(
    made: Project, build: str, job: str, branch: str, begin: int, outcome: Outcome, root: str, *,
    cell: Mapping[str, str] | None = None, error: FirstError | None = None, tests: Tests | None = None,
) -> None:  # fmt: skip
    """One build that is over."""
    wall = round(_USUAL[job] * made.random.uniform(0.86, 1.22) * (0.35 if outcome is Outcome.FAILED else 1))
    agent = made.random.choice(("agent:oak", "agent:oak", "agent:elm"))
    commit = _hex(f"{branch} {begin // 4000}", 40)
    request = _request(job, branch, commit, root, build, cell or {})
    asked = begin - made.random.randrange(2, 30) if root == build else int(UUID(root).hex[:12], 16) // 1000
    bodies: list[tuple[Body, str, int]] = [(request, "person:anna", asked)]
    result = None
    if outcome is not Outcome.SKIPPED:
        result = Result(
            claim=_hex(build + "claim", 40), outcome=outcome, started=begin * 1000, ended=begin * 1000 + wall,
            exit=Exit(status=2 if outcome is Outcome.FAILED else 0), assurance=Assurance.ISOLATED, tests=tests,
            usage=Usage(wall_ms=wall, cpu_ms=wall * 3, max_rss_kib=412_000, disk_bytes=83_000_000), first_error=error,
            log=LogSummary(where=f"{agent[6:]}:/srv/cit/attempts/{build}/log", out_bytes=48_213),
            reason="the command ended with status 2" if outcome is Outcome.FAILED else "",
            components=_components(job, outcome), key=_hex(f"{job} {sorted((cell or {}).items())} {commit}", 64),
            artifacts=_artifacts(job) if outcome is Outcome.PASSED else (),
            environment={"cc": "gcc 12.2.0", "os": "linux 6.1", "python": (cell or {}).get("python", "3.11")},
        )  # fmt: skip
        bodies += [(_claim(agent), agent, begin), (result, agent, begin + wall // 1000)]
    entries = _entries(build, bodies)
    made.builds[build] = Build(
        id=build, pool="default", ref=f"refs/cit/builds/default/{build}", tip=entries[-1].link.oid, state="final",
        entries=entries, request=request, owner="person:anna", requested=asked, outcome=outcome, result=result,
        final=entries[-1].link.oid, ended=begin + wall // 1000,
    )  # fmt: skip
    if result and begin > NOW - 86400:
        made.parts[build] = _parts(job, begin * 1000, wall, error)


def _active(made: Project) -> None:
    """What waits and runs now."""
    for job, agent, ago in (("test", "agent:oak", 130), ("compile", "agent:elm", 41), ("docs", "", 12)):
        build = _id(made.random, NOW - ago)
        request = _request(job, "topic/tide-tables", _hex("tide", 40), build, build, {})
        bodies: list[tuple[Body, str, int]] = [(request, "person:chloe", NOW - ago)]
        if agent:
            bodies.append((_claim(agent), agent, NOW - ago + 1))
        entries = _entries(build, bodies)
        made.builds[build] = Build(
            id=build, pool="default", ref=f"refs/cit/builds/default/{build}", tip=entries[-1].link.oid,
            state="running" if agent else "waiting", entries=entries, request=request, owner="person:chloe",
            requested=NOW - ago, held=Held(claim=entries[-1].link.oid, actor=agent, attempt=1) if agent else None,
        )  # fmt: skip


def _request(job: str, branch: str, commit: str, root: str, build: str, cell: Mapping[str, str]) -> Request:
    promised = root != build
    return Request(
        job=job, branch=branch, config=Config(branch=branch, commit=commit), cell=dict(cell),
        definition=Job(command=_COMMANDS[job]), sources=(PinnedSource(ref=f"refs/heads/{branch}", commit=commit),),
        cause=Cause(kind=CauseKind.PROMISE, build=root) if promised else Cause(message="Read tokens in one pass"),
        upstream={"compile": root} if promised else {},
    )  # fmt: skip


def _claim(agent: str) -> Claim:
    why = (
        Decision(check="serves pool default", ok=True), Decision(check="os is linux", ok=True, found="linux"),
        Decision(check="tool cc >= 12", ok=True, found="12.2.0"), Decision(check="2 processors", ok=True, found="8"),
        Decision(check="1 GiB of memory", ok=True, found="31 GiB"), Decision(check="a free slot", ok=True, found="1"),
        Decision(check="executor bwrap", ok=True, found="its probe passed"),
    )  # fmt: skip
    return Claim(attempt=1, boot="0011223344556677", node=agent[6:] + ".example.org", executor="bwrap", why=why)


def _entries(build: str, bodies: Sequence[tuple[Body, str, int]]) -> tuple[Entry, ...]:
    found: list[Entry] = []
    for seq, (body, actor, time) in enumerate(bodies):
        kind = type(body).__name__.lower()
        head = Head(
            type=kind, repo=_hex("root", 40), ref=f"refs/cit/builds/default/{build}", build=build, seq=seq, prev=None,
            prev_sha256=None, nonce=_hex(f"{build}{seq}", 32), policy=_hex("policy", 40), actor=actor, time=time,
        )  # fmt: skip
        link = Link(
            oid=_hex(build + kind, 40), sha256=_hex(build + kind, 64), parents=(), tree="", key=_KEYS[actor],
            record=Record(head=head, body=body),
        )  # fmt: skip
        found.append(Entry(link=link))
    return tuple(found)


def _shares(job: str) -> Sequence[tuple[str, float, float]]:
    """The components of a job, and where in its time they are."""
    if job == "compile":
        return (("src", 0.02, 0.93), ("src/store", 0.03, 0.4), ("src/parser", 0.05, 0.62), ("src/net", 0.42, 0.9),
                ("docs", 0.93, 0.99))  # fmt: skip
    return (("prepare", 0.0, 0.08), ("tests", 0.09, 0.97)) if job == "test" else ()


def _components(job: str, outcome: Outcome) -> tuple[Component, ...]:
    red = {"compile": "src/parser", "test": "tests"}.get(job) if outcome is Outcome.FAILED else ""
    return tuple(
        Component(path=path, outcome="failed" if red and red.startswith(path) else "passed",
                  ms=round((end - start) * _USUAL[job]))
        for path, start, end in _shares(job)
    )  # fmt: skip


def _parts(job: str, begin: int, wall: int, error: FirstError | None) -> list[LogPart]:
    red = error.component if error else ""
    said = tuple((wall // 2 + 40 * at, "err", text) for at, text in enumerate(error.context)) if error else ()
    lines = tuple(
        (round(wall * at / 9), "out", f"cc -O2 -Wall -c -o {name}.o {name}.c")
        for at, name in enumerate(("main", "tide", "chart", "berth", "lock", "list"))
    )
    word = "failed" if error else "passed"
    parts = [LogPart(path="", word=word, started=begin, ms=wall, status=2 if error else 0, lines=lines[:2])]
    for path, start, end in _shares(job):
        bad = bool(red) and (red == path or red.startswith(path + "/"))
        parts.append(
            LogPart(
                path=path, word="failed" if bad else "passed", started=begin + round(start * wall), ms=round(
                    (end - start) * wall), status=2 if bad else 0, lines=said if red == path else lines,
            )
        )  # fmt: skip
    return parts


def _artifacts(job: str) -> tuple[Artifact, ...]:
    names = {"package": ("dist/harbour-2.1.tar.gz",), "compile": ("bin/harbour", "lib/libharbour.a")}.get(job, ())
    return tuple(
        Artifact(path=name, sha256=_hex(name, 64), size=len(name) * 61_357, executable="bin" in name) for name in names
    )


def _agents() -> Sequence[AgentRow]:
    def row(name: str, slots: int, busy: int, heard: int, *, drain: bool = False) -> AgentRow:
        return AgentRow(
            name=name, pools=("default",), labels=("gpu",) if name == "elm" else (), slots=slots, busy=busy,
            heard=NOW - heard, host=f"{name}.example.org linux/x86_64", drain=drain, cpu=8, memory=33_000_000_000,
            executors=("bwrap", "process"),
        )  # fmt: skip

    return (row("birch", 2, 0, 190_000, drain=True), row("elm", 2, 1, 12), row("oak", 4, 1, 3))


def _differences(old: Build, new: Build) -> Mapping[str, tuple[object, object]]:
    def facts(build: Build) -> dict[str, object]:
        return {
            "outcome": build.outcome.value if build.outcome else build.state,
            "source self at .": build.request.sources[0].commit if build.request else "",
            "duration ms": build.result.usage.wall_ms if build.result else None,
        }

    before, now = facts(old), facts(new)
    return {key: (before[key], now[key]) for key in now if before[key] != now[key]}


def _id(chance: random.Random, seconds: int) -> str:
    bits = (seconds * 1000 + chance.randrange(1000)) << 80 | chance.getrandbits(76)
    return str(UUID(int=bits & ~(0xF << 76) | 0x7 << 76 & ~(0x3 << 62) | 0x2 << 62))


def _hex(text: str, count: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:count]
