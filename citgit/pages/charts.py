"""Plots of what builds did over time, as inline SVG: durations, outcomes by day, load, trends, badges."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from citgit.pages.summary import Summary
from citgit.pages.words import spaced, span

_BAR, _GAP, _HEIGHT, _AXIS = 9, 2, 84, 76
_DAY_WIDTH, _DAY_HEIGHT = 16, 84
_DOT, _LOAD_HEIGHT = 7, 22
_BADGE = {"passed": "#1a7f37", "reused": "#1a7f37", "failed": "#c4232f"}

Say = Callable[[Summary], str]
"""One line about a build, for the title of its mark: what a pointer or a screen reader gets."""


def history(builds: Sequence[Summary], say: Say, link: Callable[[str], str]) -> Markup:
    """Durations of builds, oldest first, as bars in the colour of their outcome; each leads to its page."""
    longest = max((build.wall_ms for build in builds), default=0) or 1
    usual = sorted(build.wall_ms for build in builds)[len(builds) // 2] if builds else 0
    wide = max(1, len(builds)) * (_BAR + _GAP)
    marks = [_axis(wide, 8, span(longest)), _axis(wide, _HEIGHT, "0")]
    middle = _HEIGHT - round(usual / longest * (_HEIGHT - 8))
    if 26 < middle < _HEIGHT - 14:
        marks.append(_axis(wide, middle, span(usual)))
    for at, build in enumerate(builds):
        height = max(3, round(build.wall_ms / longest * (_HEIGHT - 8)))
        # the table below holds the same links, so the keyboard need not walk through these
        marks.append(
            Markup(
                '<a href="{link}" tabindex="-1"><rect class="bar {word}" x="{x}" y="{y}" width="{width}" '
                'height="{height}" rx="1.5"><title>{title}</title></rect></a>'
            ).format(
                link=link(build.id), word=build.word, x=at * (_BAR + _GAP), y=_HEIGHT - height, width=_BAR,
                height=height, title=say(build),
            )
        )  # fmt: skip
    red = sum(build.word == "failed" for build in builds)
    label = f"durations of the last {len(builds)} builds: usually {span(usual)}, at most {span(longest)}, {red} failed"
    return svg(wide + _AXIS, _HEIGHT + 2, label, marks)


def days(counts: Sequence[tuple[str, int, int, int]]) -> Markup:
    """How many builds of each day passed, failed, or ended otherwise; failures stand at the bottom."""
    most = max((sum(count) for _, *count in counts), default=0) or 1
    wide = len(counts) * (_DAY_WIDTH + _GAP)
    marks = [_axis(wide, 8, str(most)), _axis(wide, _DAY_HEIGHT, "0")]
    for at, (day, passed, failed, others) in enumerate(counts):
        title = f"{day}: {passed} passed, {failed} failed" + (f", {others} otherwise" if others else "")
        marks.append(Markup("<g><title>{}</title>").format(title))
        foot = float(_DAY_HEIGHT)
        for word, count in (("failed", failed), ("errored", others), ("passed", passed)):
            high = count / most * (_DAY_HEIGHT - 8)
            foot -= high
            if count:
                marks.append(_block(word, at * (_DAY_WIDTH + _GAP), foot, _DAY_WIDTH, high))
        marks.append(Markup("</g>"))
    failed = sum(count[2] for count in counts)
    label = f"builds by day over {len(counts)} days: {sum(sum(count) for _, *count in counts)}, {failed} failed"
    return svg(wide + _AXIS, _DAY_HEIGHT + 2, label, marks)


def load(shares: Sequence[tuple[str, float]], most: float) -> Markup:
    """How much of an agent was used on each day, as (day, share); `most` is the share that a full bar stands for."""
    marks = []
    for at, (day, share) in enumerate(shares):
        high = max(1.5, share / max(most, 0.0001) * _LOAD_HEIGHT)
        marks.append(Markup("<g><title>{}: {:.1%} in use</title>").format(day, share))
        marks.append(_block("empty", at * (_DOT + 1), 0, _DOT, _LOAD_HEIGHT))
        if share:
            marks.append(_block("running", at * (_DOT + 1), _LOAD_HEIGHT - high, _DOT, high))
        marks.append(Markup("</g>"))
    mean = sum(share for _, share in shares) / max(1, len(shares))
    return svg(len(shares) * (_DOT + 1), _LOAD_HEIGHT, f"{mean:.1%} in use over {len(shares)} days", marks)


def trend(builds: Sequence[Summary], say: Say) -> Markup:
    """The outcomes of a few builds, oldest first; failures are lower, so that they show without colours."""
    marks = [
        Markup('<rect class="bar {}" x="{}" y="{}" width="{}" height="{}" rx="1.5"><title>{}</title></rect>').format(
            build.word, at * (_DOT + 2), 0 if good else 7, _DOT, 16 if good else 9, say(build)
        )
        for at, build in enumerate(builds)
        for good in [build.word in ("passed", "reused")]
    ]
    red = sum(build.word not in ("passed", "reused") for build in builds)
    return svg(len(builds) * (_DOT + 2), 16, f"the last {len(builds)}: {red} did not pass", marks)


def badge(job: str, word: str) -> Markup:
    """The job and its outcome as a picture of its own, for other pages."""
    said = spaced(word)
    left, right = 12 + 6.6 * len(job[:40]), 12 + 6.6 * len(said)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="20" role="img" aria-label="{job}: {said}">'
        '<title>{job}: {said}</title><rect width="{wide:.0f}" height="20" rx="3" fill="#3f4650"/>'
        '<path fill="{colour}" d="M{left:.0f} 0h{rest:.0f}q3 0 3 3v14q0 3 -3 3h-{rest:.0f}z"/>'
        '<g fill="#ffffff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        '<text x="6" y="14" textLength="{a:.0f}">{job}</text>'
        '<text x="{at:.0f}" y="14" textLength="{b:.0f}">{said}</text></g></svg>'
    ).format(
        wide=left + right, job=job[:40], said=said, left=left, rest=right - 3, a=left - 12, b=right - 12, at=left + 6,
        colour=_BADGE.get(word, "#5f6873"),
    )  # fmt: skip


def svg(width: float, height: float, label: str, marks: Sequence[Markup], kind: str = "group") -> Markup:
    """A picture that a screen reader announces by its label."""
    return Markup(
        '<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="{kind}" aria-label="{label}">'
        "{marks}</svg>"
    ).format(width=width, height=height, label=escape(label), marks=Markup("").join(marks), kind=kind)


def cut(text: str, most: int) -> str:
    """The start of a text that has to fit."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _axis(wide: float, y: float, text: str) -> Markup:
    """A line over the plot; what it stands for is at its right end, where the newest is."""
    return Markup(
        '<line class="rule" x1="0" x2="{x}" y1="{y}" y2="{y}"/><text class="axis start" x="{at}" y="{ty}">{text}</text>'
    ).format(x=wide + 2, y=y, at=wide + 6, ty=max(10, y + 2), text=text)


def _block(word: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="bar {}" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
        word, x, y, width, height
    )
