"""The page of a build: everything that its template shows, worked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from citgit.model.build import Build
from citgit.model.record import Result
from citgit.pages import times, words
from citgit.pages.past import ACTIVE, FOLLOWED, Past
from citgit.pages.summary import last_claim
from citgit.pages.world import LogPart, World

_FAMILY = 60


@dataclass(slots=True)
class Branch:
    """A component with those below it; `anchor` names it on its page, `open` if its output is shown at once."""

    part: LogPart
    anchor: str
    open: bool
    below: list[Branch] = field(default_factory=list)


def build_context(
    world: World, build: Build, past: Past, previous: Callable[[str], Build], parts: Sequence[LogPart]
) -> dict[str, object]:
    """What the template of a build's page gets; `previous` loads the build before it, `parts` are its components."""
    one, result = past.builds[build.id], build.result
    before, family = past.before.get(build.id), past.families[one.root]
    members = {each.id: each for each in family}
    claim = last_claim(build)
    flaky = past.flaky.get(one.job, frozenset())
    context: dict[str, object] = {
        "world": world, "build": build, "one": one, "result": result, "request": build.request, "here": "../",
        "claim": claim.link.record.body if claim and claim.link.record else None, "before": before,
        "differences": world.differences(previous(before.id), build) if before else {},
        "log": tree(parts), "parts": len(parts), "components": times.components(parts, anchors_of(parts)),
        "newly_failing": set(one.failures) - set(before.failures) if before else set(),
        "newly_fixed": [name for name in before.failures if name not in one.failures] if before and result else [],
        "flaky": flaky, "usual": past.usual.get(words.name_of(one), 0),
        "active": one.word in ACTIVE, "follows": one.word in FOLLOWED,
        "family": family, "downstream": [each for each in family if build.id in each.upstream.values()],
        "upstream": [members[other] for other in one.upstream.values() if other in members],
        "graph": "", "timeline": "", "sources": _sources(world, build),
        "anchor": _error_anchor(result, anchors_of(parts)),
    }  # fmt: skip
    if len(family) > 1:
        shown = family[:_FAMILY] if one in family[:_FAMILY] else [one, *family[: _FAMILY - 1]]
        link = _page_beside
        context["graph"] = times.graph({each.id: each for each in shown}, build.id, words.say, link, words.name_of)
        context["timeline"] = times.timeline(shown, world.now * 1000, words.say, link, words.name_of)
    return context


def parts_of(result: Result | None) -> list[LogPart]:
    """The components as a result holds them, where their log is elsewhere."""
    if result is None or not result.components:
        return []
    root = LogPart(path="", word=result.outcome.value, ms=result.usage.wall_ms)
    below = [LogPart(path=one.path, word=one.outcome or "unknown", ms=one.ms) for one in result.components]
    return [root, *below]


def anchors_of(parts: Sequence[LogPart]) -> dict[str, str]:
    """The name of each component's place on its page."""
    return {part.path: f"part-{at}" for at, part in enumerate(parts)}


def tree(parts: Sequence[LogPart]) -> list[Branch]:
    """The components as a tree; what has no parent here stands at the top. Where it failed first is open."""
    red = [part.path for part in parts if part.word not in ("passed", "unknown")]
    above = {path.rpartition("/")[0] for path in red if path}
    leaves = [path for path in red if path not in above] or [""]
    top: list[Branch] = []
    known: dict[str, Branch] = {}
    for at, part in enumerate(parts):
        shown = part.path in leaves or part.path in above
        known[part.path] = branch = Branch(part, f"part-{at}", shown)
        parent = known.get(part.path.rpartition("/")[0]) if part.path else None
        (parent.below if parent else top).append(branch)
    return top


def _error_anchor(result: Result | None, anchors: Mapping[str, str]) -> str:
    """Where the component of the first error is on the page."""
    wanted = result.first_error.component if result and result.first_error else ""
    return anchors.get(wanted, "") if wanted else ""


def _sources(world: World, build: Build) -> Sequence[Mapping[str, str]]:
    """The exact revisions: what each is, its commit, where it went, and a link where a known forge shows it."""
    if build.request is None:
        return []
    config = build.request.config
    address = world.origin if config.repo == "self" else config.repo
    rows = [{
        "what": "config", "name": f"{config.path} on {config.branch}", "commit": config.commit,
        "link": words.commit_link(address, config.commit, config.path), "at": "",
    }]  # fmt: skip
    for source in build.request.sources:
        rows.append({
            "what": "source", "name": f"{'' if source.repo == 'self' else source.repo + ' '}{source.ref}",
            "commit": source.commit, "link": words.commit_link(source.url or world.origin, source.commit),
            "at": "" if source.at == "." else source.at,
        })  # fmt: skip
    return rows


def _page_beside(other: str) -> str:
    return f"{other}.html"
