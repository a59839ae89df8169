"""Writes a report: only the pages of builds that are new or changed, and the overviews that they change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from citgit.errors import Errored
from citgit.model.build import Build
from citgit.model.record import Outcome
from citgit.pages import builds as build_pages
from citgit.pages import overview, spread, words
from citgit.pages.past import Past, by_job, past_of
from citgit.pages.summary import Summary, summary
from citgit.pages.world import Rendered, World
from citgit.pages.writer import Writer, version

KNOWN = ".known.json"
_FINAL = frozenset(one.value for one in Outcome)
_KEPT = 10_000
"""Builds that are kept from reading to writing; of more, some are read twice."""


class _Known(msgspec.Struct, kw_only=True):
    """What the last report knew: `made` names the version of the pages and the policy that it was made under."""

    made: str = ""
    builds: dict[str, Summary] = {}


@dataclass(slots=True)
class Site:
    """A report in a directory. `plain` makes text from records safe and visible: no controls, nothing hidden."""

    out: Path
    plain: Callable[[object], str]
    progress: Callable[[int, int], None] = lambda done, all: None
    _write: Writer = field(init=False)
    _loaded: dict[str, Build] = field(default_factory=dict)
    _last: _Known | None = None

    def __post_init__(self) -> None:
        self._write = Writer(self.out, self.plain)

    def render(self, world: World) -> Rendered:
        """Brings the report up to date. Raises OSError if it cannot be written."""
        made = f"{version()} {world.policy} {world.live}"
        known = self._last or self._known()
        old = known.builds if known.made == made else {}
        self._loaded = {}
        fresh = not (self.out / "index.html").exists()
        self._write.prepare(fresh=fresh)
        if not old:
            # says what the directory is, should this be interrupted: then all is made anew
            self._keep(_Known())
        changed = [build for build, tip in world.tips.items() if not _is_known(old.get(build), tip)]
        kept = {build: one for build, one in old.items() if build in world.tips}
        builds = self._spread(world, changed, kept) if spread.pays(len(changed)) else None
        done = Rendered(builds=len(changed), shown=len(world.tips))
        if builds is None:
            read = self._reader(world)
            for at, build in enumerate(changed):
                self.progress(at, len(changed))
                kept[build] = read(build)
            builds, done.builds = kept, 0
        past = past_of(builds, world.tips)
        written = set(changed) if done.builds else set()
        page = self._pages(world, past)
        for build in self._touched(world, changed, builds):
            if build not in written:
                page(build)
                done.builds += 1
        done.jobs = self._jobs(world, past, {builds[build].job for build in changed})
        self._write.page("index.html", "index.html", overview.overview(world, past))
        self._write.page("agents.html", "agents.html", overview.agents(world, past))
        self._last = _Known(made=made, builds=builds)
        if changed or old.keys() != builds.keys():
            self._keep(self._last)
        return done

    def _spread(self, world: World, changed: Sequence[str], kept: Mapping[str, Summary]) -> dict[str, Summary] | None:
        """All summaries, the pages of the changed builds being written; None if it has to be done in this process."""
        done = 0.0

        def tick(more: float) -> None:
            nonlocal done
            done += more
            self.progress(round(done), len(changed))

        try:
            return spread.spread(
                changed, kept, self._reader(world), lambda all: self._pages(world, past_of(all, world.tips)), tick
            )
        except Errored:
            return None

    def _reader(self, world: World) -> Callable[[str], Summary]:
        def read(build: str) -> Summary:
            found = world.load(build)
            if len(self._loaded) < _KEPT:
                self._loaded[build] = found
            return summary(found, self._write.safe)

        return read

    def _pages(self, world: World, past: Past) -> Callable[[str], None]:
        """What writes the page of a build."""

        def load(build: str) -> Build:
            return self._loaded.get(build) or world.load(build)

        def page(build: str) -> None:
            found = load(build)
            parts = world.log(found) or build_pages.parts_of(found.result)
            parts = [replace(part, path=self._write.safe(part.path)) for part in parts]
            context = build_pages.build_context(world, found, past, load, parts)
            self._write.page("build.html", words.build_page(build), context)

        return page

    def _touched(self, world: World, changed: Iterable[str], builds: Mapping[str, Summary]) -> list[str]:
        """The changed builds, those whose pages show a pipeline with a changed one in it, and those that run."""
        roots = {builds[build].root for build in changed}
        chosen = set(changed)
        return [
            build
            for build in world.tips
            if build in chosen or builds[build].root in roots or builds[build].word in ("running", "stopping")
        ]

    def _jobs(self, world: World, past: Past, changed: set[str]) -> int:
        if not changed:
            return 0
        jobs = by_job(past.ordered)
        for job in changed:
            self._write.page("job.html", words.job_page(job), overview.job(world, past, job, jobs[job]))
            self._write.write(words.badge_file(job), overview.badge(job, jobs[job]))
        return len(changed)

    def _keep(self, known: _Known) -> None:
        self._write.write(KNOWN, msgspec.json.encode(known).decode())

    def _known(self) -> _Known:
        """What the last report knew; nothing if it is lost or damaged: then all is made anew."""
        try:
            return msgspec.json.decode((self.out / KNOWN).read_bytes(), type=_Known)
        except (OSError, msgspec.MsgspecError):
            return _Known()


def _is_known(old: Summary | None, tip: str) -> bool:
    """Whether what the last report knew of a build is all there is to know."""
    if old is None:
        return False
    return old.tip == tip or (not tip and old.word in _FINAL)
