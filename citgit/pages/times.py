"""Plots of what belongs together, as inline SVG: components and builds in time, and what waits for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from citgit.pages.charts import Say, cut, svg
from citgit.pages.summary import Summary
from citgit.pages.words import spaced, span
from citgit.pages.world import LogPart

_ROW, _LABEL, _WIDTH, _LEAST = 22, 210, 860, 3
_BOX, _BOX_HEIGHT, _STEP, _LANE = 180, 32, 230, 44
_COMPONENTS = 40
_DEEPEST = 12


def timeline(builds: Sequence[Summary], now: int, say: Say, link: Callable[[str], str], name: Say) -> Markup:
    """The builds of a pipeline as bars in time, from the first request to the last end; waiting is drawn pale.

    `now`, in ms, is where the bars of those end that go on.
    """
    first = min((build.requested * 1000 for build in builds), default=0)
    last = max((max(build.ended or now, build.started, build.requested * 1000) for build in builds), default=0)
    rows = []
    for at, build in enumerate(builds):
        asked = build.requested * 1000
        begin = max(build.started or build.ended or last, asked)
        bar = _bars(at, first, last, asked, begin, max(build.ended or last, begin), build.word)
        rows.append(_row(link(build.id), say(build), name(build), at, 0, bar))
    return svg(_WIDTH, max(1, len(builds)) * _ROW + _ROW, "builds of this pipeline in time", [*rows, _scale(
        len(builds), last - first)])  # fmt: skip


def components(parts: Sequence[LogPart], anchors: Mapping[str, str]) -> Markup:
    """The components of a build in time; of very many the failed and the longest ones. "" if no times are known."""
    timed = [part for part in parts if part.started]
    if len(timed) < 2:
        return Markup("")
    weighed = sorted(timed, key=lambda part: (part.path != "", part.word != "failed", -part.ms))[:_COMPONENTS]
    chosen = [part for part in timed if part in weighed]
    first = min(part.started for part in chosen)
    last = max(part.started + part.ms for part in chosen)
    rows = []
    for at, part in enumerate(chosen):
        name = part.path.rpartition("/")[2] or "the command"
        bar = _bars(at, first, last, part.started, part.started, part.started + part.ms, part.word)
        title = f"{part.path or 'the command'}: {spaced(part.word)}, {span(part.ms)}"
        rows.append(
            _row(f"#{anchors.get(part.path, '')}", title, name, at, part.path.count("/") + bool(part.path), bar)
        )
    left_out = f", {len(timed) - len(chosen)} shorter ones left out" if len(chosen) < len(timed) else ""
    return svg(_WIDTH, len(chosen) * _ROW + _ROW, f"components in time{left_out}", [*rows, _scale(
        len(chosen), last - first)])  # fmt: skip


def graph(builds: Mapping[str, Summary], here: str, say: Say, link: Callable[[str], str], name: Say) -> Markup:
    """What waits for what in a pipeline: upstream at the left; `here` is marked."""
    levels = _levels(builds)
    lanes: dict[int, int] = {}
    places = {}
    for build in sorted(builds, key=lambda one: (levels[one], one)):
        lane = lanes.get(levels[build], 0)
        lanes[levels[build]] = lane + 1
        places[build] = (levels[build] * _STEP, lane * _LANE)
    marks = [
        Markup('<path class="edge" d="M{} {} C{} {} {} {} {} {}"/>').format(*_curve(places[before], places[build]))
        for build, one in builds.items()
        for before in one.upstream.values()
        if before in places
    ]
    for build, (x, y) in places.items():
        marks.append(
            Markup(
                '<a href="{link}"{current}><title>{title}</title><rect class="box {word}{here}" x="{x}" y="{y}" '
                'width="{width}" height="{height}" rx="6"/><text x="{tx}" y="{ty}">{name}</text></a>'
            ).format(
                link=link(build), title=say(builds[build]), word=builds[build].word,
                here=" here" if build == here else "", x=x + 2, y=y + 2, width=_BOX, height=_BOX_HEIGHT, tx=x + 14,
                ty=y + 22, name=cut(name(builds[build]), 24),
                current=Markup(' aria-current="page"') if build == here else "",
            )
        )  # fmt: skip
    wide, high = max(levels.values(), default=0) + 1, max(lanes.values(), default=1)
    return svg(wide * _STEP - (_STEP - _BOX) + 4, high * _LANE, "what waits for what", marks)


def _row(link: str, title: str, name: str, at: int, depth: int, bar: Markup) -> Markup:
    indent = min(depth, 6) * 12
    return Markup('<a href="{}"><title>{}</title><text x="{}" y="{}">{}</text>{}</a>').format(
        link, title, indent, at * _ROW + 15, cut(name, 30 - indent // 7), bar
    )


def _bars(at: int, first: int, last: int, asked: int, begin: int, end: int, word: str) -> Markup:
    """A row's bar, and a pale one before it for the time that was waited."""

    def place(time: int) -> float:
        return round(_LABEL + (time - first) * (_WIDTH - _LABEL - _LEAST) / max(1, last - first), 1)

    return Markup(
        '<rect class="wait" x="{}" y="{y}" width="{}" height="12"/>'
        '<rect class="bar {word}" x="{}" y="{y}" width="{}" height="12" rx="2"/>'
    ).format(
        place(asked), round(place(begin) - place(asked), 1), place(begin),
        max(_LEAST, round(place(end) - place(begin), 1)), y=at * _ROW + 5, word=word,
    )  # fmt: skip


def _scale(rows: int, ms: int) -> Markup:
    return Markup(
        '<line class="rule" x1="{x}" x2="{end}" y1="{y}" y2="{y}"/><text class="axis start" x="{x}" y="{ty}">0</text>'
        '<text class="axis" x="{end}" y="{ty}">{text}</text>'
    ).format(x=_LABEL, end=_WIDTH, y=rows * _ROW + 3, ty=rows * _ROW + 17, text=span(ms))


def _levels(builds: Mapping[str, Summary]) -> dict[str, int]:
    """How many builds each one waits for, one after the other; bounded, since strangers' records may form rings."""
    levels = dict.fromkeys(builds, 0)
    for _ in range(min(len(builds), _DEEPEST)):
        for build, one in builds.items():
            before = [levels[other] for other in one.upstream.values() if other in levels and other != build]
            levels[build] = min(_DEEPEST, 1 + max(before)) if before else 0
    return levels


def _curve(start: tuple[int, int], end: tuple[int, int]) -> tuple[int, ...]:
    x, y, u, v = start[0] + _BOX, start[1] + _BOX_HEIGHT // 2 + 2, end[0] + 2, end[1] + _BOX_HEIGHT // 2 + 2
    return x, y, (x + u) // 2, y, (x + u) // 2, v, u, v
