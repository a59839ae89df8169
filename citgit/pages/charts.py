"""Plots as inline SVG: the history of a job, the builds of a pipeline in time, and what waits for what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup, escape

from citgit.pages.summary import Summary

_BAR, _GAP, _HEIGHT = 9, 2, 72
_ROW, _LABEL, _WIDTH, _LEAST = 22, 190, 720, 3
_BOX, _BOX_HEIGHT, _STEP, _LANE = 170, 30, 220, 44

Say = Callable[[Summary], str]
"""One line about a build, for the title of its mark: what a pointer or a screen reader gets."""


def history(builds: Sequence[Summary], say: Say, link: Callable[[str], str]) -> Markup:
    """Durations of builds, oldest first, as bars in the colour of their outcome; each leads to its page."""
    longest = max((build.wall_ms for build in builds), default=0) or 1
    bars = []
    for at, build in enumerate(builds):
        height = max(4, round(build.wall_ms / longest * (_HEIGHT - 6)))
        bars.append(
            Markup(
                '<a href="{link}"><rect class="bar {word}" x="{x}" y="{y}" width="{width}" height="{height}" rx="1.5">'
                "<title>{title}</title></rect></a>"
            ).format(
                link=link(build.id), word=build.word, x=at * (_BAR + _GAP), y=_HEIGHT - height, width=_BAR,
                height=height, title=say(build),
            )
        )  # fmt: skip
    return _svg(max(1, len(builds)) * (_BAR + _GAP), _HEIGHT, f"durations of the last {len(builds)} builds", bars)


def timeline(builds: Sequence[Summary], say: Say, link: Callable[[str], str], name: Say) -> Markup:
    """The builds of a pipeline as bars in time, from the first request to the last end; waiting is drawn pale."""
    first = min((build.requested * 1000 for build in builds), default=0)
    last = max((max(build.ended, build.started, build.requested * 1000) for build in builds), default=0)
    scale = (_WIDTH - _LABEL - _LEAST) / max(1, last - first)

    def place(time: int) -> float:
        return round(_LABEL + (time - first) * scale, 1)

    rows = []
    for at, build in enumerate(builds):
        asked = build.requested * 1000
        begin = max(build.started, asked)
        end = max(build.ended or begin, begin)
        rows.append(
            Markup(
                '<a href="{link}"><title>{title}</title><text x="0" y="{text}">{name}</text>'
                '<rect class="wait" x="{wait}" y="{y}" width="{waited}" height="12"/>'
                '<rect class="bar {word}" x="{x}" y="{y}" width="{width}" height="12" rx="2"/></a>'
            ).format(
                link=link(build.id), title=say(build), text=at * _ROW + 14, name=_cut(name(build), 28), word=build.word,
                wait=place(asked), waited=round(place(begin) - place(asked), 1),
                x=place(begin), y=at * _ROW + 4, width=max(_LEAST, round(place(end) - place(begin), 1)),
            )
        )  # fmt: skip
    return _svg(_WIDTH, max(1, len(builds)) * _ROW, "builds of this pipeline in time", rows)


def graph(builds: Mapping[str, Summary], here: str, say: Say, link: Callable[[str], str], name: Say) -> Markup:
    """What waits for what in a pipeline: upstream at the left; `here` is marked."""
    levels = {build: _level(build, builds, 0) for build in builds}
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
                '<a href="{link}"><title>{title}</title><rect class="box {word}{here}" x="{x}" y="{y}" '
                'width="{width}" height="{height}" rx="6"/><text x="{tx}" y="{ty}">{name}</text></a>'
            ).format(
                link=link(build), title=say(builds[build]), word=builds[build].word,
                here=" here" if build == here else "", x=x + 1, y=y + 1, width=_BOX, height=_BOX_HEIGHT, tx=x + 12,
                ty=y + 20, name=_cut(name(builds[build]), 22),
            )
        )  # fmt: skip
    wide, high = max(levels.values(), default=0) + 1, max(lanes.values(), default=1)
    return _svg(wide * _STEP - (_STEP - _BOX) + 2, high * _LANE, "what waits for what", marks)


def _level(build: str, builds: Mapping[str, Summary], depth: int) -> int:
    # ids of a pipeline cannot name each other in a ring, but records of strangers are shown too
    before = [one for one in builds[build].upstream.values() if one in builds and one != build]
    return 1 + max(_level(one, builds, depth + 1) for one in before) if before and depth < 50 else 0


def _curve(start: tuple[int, int], end: tuple[int, int]) -> tuple[int, ...]:
    x, y, u, v = start[0] + _BOX, start[1] + _BOX_HEIGHT // 2, end[0], end[1] + _BOX_HEIGHT // 2
    return x, y, (x + u) // 2, y, (x + u) // 2, v, u, v


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _svg(width: float, height: float, label: str, marks: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{label}">'
        "{marks}</svg>"
    ).format(width=width, height=height, label=escape(label), marks=Markup("").join(marks))
