"""Writes a report: only the pages of builds that are new or changed, and the overviews that they change."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import msgspec

from citgit.model.build import Build
from citgit.model.record import Outcome
from citgit.model.units import rounded_size
from citgit.pages import charts, words
from citgit.pages.summary import Summary, last_claim, summary

_TEMPLATES = Path(__file__).parent / "templates"
_ACTIVE = ("running", "stopping", "waiting", "paused")
_FINAL = frozenset(one.value for one in Outcome)
_HISTORY = 80
_LISTED = 400
_BRANCHES = 8
_RECENT = 40
_RATE = 50


class _Known(msgspec.Struct, kw_only=True):
    """What the last report knew: `made` names the version of the pages and the policy that it was made under."""

    made: str = ""
    builds: dict[str, Summary] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """A component of a log that is on this machine: path ("" is the root), ms that it took, exit status, lines."""

    path: str
    ms: int = 0
    status: int | None = None
    lines: Sequence[tuple[int, str, str]] = ()
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """An agent as the overview shows it; `heard` in unix seconds, 0 if it never was."""

    name: str
    pools: Sequence[str]
    labels: Sequence[str]
    slots: int
    busy: int
    heard: int = 0
    host: str = ""
    drain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything that a report is made of. `tips` are all builds, newest first; `load` reads and judges one.

    A tip is "" for an archived build: whatever was read of it once it was final is true for ever.
    """

    name: str
    root: str
    policy: str
    policy_version: int
    tips: Mapping[str, str]
    load: Callable[[str], Build]
    agents: Sequence[AgentRow] = ()
    alarms: Sequence[str] = ()
    now: int = 0
    log: Callable[[Build], Sequence[LogPart]] = lambda build: ()
    differences: Callable[[Build, Build], Mapping[str, tuple[object, object]]] = lambda old, new: {}


@dataclass(slots=True)
class Rendered:
    """How many pages of builds and jobs were written, and how many builds the report shows."""

    builds: int = 0
    jobs: int = 0
    shown: int = 0


@dataclass(slots=True)
class Site:
    """A report in a directory. `plain` makes text from records safe and visible: no controls, nothing hidden."""

    out: Path
    plain: Callable[[object], str]
    progress: Callable[[int, int], None] = lambda done, all: None
    _pages: jinja2.Environment = field(init=False)

    def __post_init__(self) -> None:
        self._pages = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
            undefined=jinja2.StrictUndefined, finalize=self._shown,
        )  # fmt: skip
        self._pages.filters |= {
            "span": words.span, "size": rounded_size, "moment": words.moment, "iso": words.iso, "symbol": words.symbol,
            "name": name_of, "job_page": words.job_page, "build_page": words.build_page, "say": say,
        }  # fmt: skip

    def render(self, world: World) -> Rendered:
        """Brings the report up to date. Raises OSError if it cannot be written."""
        made = f"{_digest()} {world.policy}"
        known = self._known()
        old = known.builds if known.made == made else {}
        done = Rendered(shown=len(world.tips))
        for folder in ("build", "job"):
            (self.out / folder).mkdir(parents=True, exist_ok=True)
        _write(self.out / "style.css", (_TEMPLATES / "style.css").read_text())
        if not old:
            # says what the directory is, should this be interrupted
            self._keep(_Known())
        changed = [build for build, tip in world.tips.items() if not _is_known(old.get(build), tip)]
        loaded: dict[str, Build] = {}
        builds = {build: one for build, one in old.items() if build in world.tips}
        for at, build in enumerate(changed):
            self.progress(at, len(changed))
            loaded[build] = world.load(build)
            builds[build] = summary(loaded[build])
        ordered = [builds[build] for build in world.tips]
        touched = self._touched(changed, builds)
        families = _families(ordered)
        before = _before(ordered)
        for build in touched:
            found = loaded.get(build) or world.load(build)
            self._build(world, found, builds, families[builds[build].root], before.get(build), loaded)
            done.builds += 1
        done.jobs = self._jobs(world, ordered, {builds[build].job for build in changed})
        self._page("index.html", "index.html", self._overview(world, ordered))
        self._keep(_Known(made=made, builds=builds))
        return done

    def _keep(self, known: _Known) -> None:
        _write(self.out / ".known.json", msgspec.json.encode(known).decode())

    def _known(self) -> _Known:
        """What the last report knew; nothing if it is lost or damaged: then all is made anew."""
        try:
            return msgspec.json.decode((self.out / ".known.json").read_bytes(), type=_Known)
        except (OSError, msgspec.MsgspecError):
            return _Known()

    def _touched(self, changed: Iterable[str], builds: Mapping[str, Summary]) -> list[str]:
        """The changed builds, and those whose pages show a pipeline with a changed one in it."""
        roots = {builds[build].root for build in changed}
        chosen = set(changed)
        return [build for build, one in builds.items() if build in chosen or one.root in roots]

    def _overview(self, world: World, ordered: Sequence[Summary]) -> dict[str, object]:
        latest: dict[str, dict[str, Summary]] = defaultdict(dict)
        branches: dict[str, int] = {}
        for one in ordered:
            if one.job:
                latest[one.job].setdefault(one.branch, one)
                branches.setdefault(one.branch, len(branches))
        # the branches with news come first, but the ones that all have stay in their place
        chosen = sorted(branches, key=lambda name: (name not in ("main", "master"), branches[name]))[:_BRANCHES]
        return {
            "world": world, "jobs": {job: latest[job] for job in sorted(latest)}, "branches": chosen,
            "more_branches": len(branches) - len(chosen), "active": [one for one in ordered if one.word in _ACTIVE],
            "recent": [one for one in ordered if one.word not in _ACTIVE][:_RECENT], "here": "",
        }  # fmt: skip

    def _jobs(self, world: World, ordered: Sequence[Summary], changed: set[str]) -> int:
        by_job: dict[str, list[Summary]] = defaultdict(list)
        for one in ordered:
            by_job[one.job].append(one)
        for job in changed:
            builds = by_job[job]
            ended = [one for one in builds if one.wall_ms and one.word in ("passed", "failed")]
            last = ended[:_RATE]
            passed = [one.wall_ms for one in last if one.word == "passed"]
            latest: dict[str, Summary] = {}
            for one in builds:
                latest.setdefault(one.branch, one)
            self._page(
                "job.html", words.job_page(job),
                {
                    "world": world, "job": job, "builds": builds[:_LISTED], "more": max(0, len(builds) - _LISTED),
                    "latest": latest, "median": sorted(passed)[len(passed) // 2] if passed else 0,
                    "rate": round(100 * len(passed) / len(last)) if last else None, "counted": len(last),
                    "flaky": _flaky(builds), "here": "../",
                    "chart": charts.history(ended[:_HISTORY][::-1], say, lambda one: f"../{words.build_page(one)}"),
                },
            )  # fmt: skip
        return len(changed)

    def _build(
        self, world: World, build: Build, builds: Mapping[str, Summary], family: Sequence[Summary],
        before: Summary | None, loaded: Mapping[str, Build],
    ) -> None:  # fmt: skip
        one = builds[build.id]
        previous = (loaded.get(before.id) or world.load(before.id)) if before else None
        claim = last_claim(build)
        members = {each.id: each for each in family}

        def link(other: str) -> str:
            return f"{other}.html"

        self._page(
            "build.html", words.build_page(build.id),
            {
                "world": world, "build": build, "one": one, "result": build.result, "request": build.request,
                "claim": claim.link.record.body if claim and claim.link.record else None, "before": before,
                "differences": world.differences(previous, build) if previous else {}, "log": world.log(build),
                "newly_failing": [name for name in one.failures if before and name not in before.failures],
                "newly_fixed": [name for name in before.failures if name not in one.failures] if before else [],
                "family": family, "downstream": [each for each in family if build.id in each.upstream.values()],
                "upstream": [members[other] for other in one.upstream.values() if other in members],
                "graph": charts.graph(members, build.id, say, link, name_of) if len(family) > 1 else "",
                "timeline": charts.timeline(family, say, link, name_of) if len(family) > 1 else "",
                "here": "../",
            },
        )  # fmt: skip

    def _page(self, template: str, path: str, context: Mapping[str, object]) -> None:
        _write(self.out / path, self._pages.get_template(template).render(context))

    def _shown(self, value: object) -> object:
        """What a template prints: text passes `plain`, markup made by pages themselves stays as it is."""
        if isinstance(value, str) and not hasattr(value, "__html__"):
            return self.plain(value)
        return value


def _is_known(old: Summary | None, tip: str) -> bool:
    """Whether what the last report knew of a build is all there is to know."""
    if old is None:
        return False
    return old.tip == tip or (not tip and old.word in _FINAL)


def name_of(one: Summary) -> str:
    """The job and the cell of its matrix."""
    return one.job + "".join(f" {key}={value}" for key, value in sorted(one.cell.items()))


def say(one: Summary) -> str:
    """A build in one line."""
    took = f", {words.span(one.wall_ms)}" if one.wall_ms else ""
    return f"{name_of(one)} on {one.branch}: {one.word.replace('_', ' ')}{took}, {words.moment(one.requested)}"


def _families(ordered: Iterable[Summary]) -> dict[str, list[Summary]]:
    """The builds of each pipeline, by the id of the build that began it, oldest first."""
    found: dict[str, list[Summary]] = defaultdict(list)
    for one in ordered:
        found[one.root].append(one)
    return {
        root: sorted(members, key=lambda one: (one.started or one.requested * 1000, one.id))
        for root, members in found.items()
    }


def _before(ordered: Iterable[Summary]) -> dict[str, Summary]:
    """For each build the one before it of the same job, branch and cell that ended by itself."""
    newer: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    found: dict[str, Summary] = {}
    for one in ordered:
        key = (one.job, one.branch, name_of(one))
        if one.word in ("passed", "failed"):
            found |= dict.fromkeys(newer.pop(key, []), one)
        newer[key].append(one.id)
    return found


def _flaky(builds: Iterable[Summary]) -> list[Summary]:
    """Builds whose inputs equal another one's, and whose outcome does not."""
    by_key: dict[str, list[Summary]] = defaultdict(list)
    for one in builds:
        if one.key and one.word in ("passed", "failed"):
            by_key[one.key].append(one)
    return [one for same in by_key.values() if len({each.word for each in same}) > 1 for one in same]


def _digest() -> str:
    """What the pages look like: a report made by other templates is made anew."""
    whole = hashlib.sha256()
    for path in (*sorted(_TEMPLATES.iterdir()), *sorted(Path(__file__).parent.glob("*.py"))):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.new")
    scratch.write_text(text, encoding="utf-8", errors="replace")
    os.replace(scratch, path)
