"""Draws what a compressed week cost, from its samples: `plot.py week.json > docs/week.svg`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

WIDTH, HEIGHT, GAP, LEFT, TOP = 340, 120, 46, 46, 26
INK, LINE, FRAME = "#333", "#2563a8", "#bbb"

PANELS = (
    ("memory", "memory of the worker, MiB"),
    ("descriptors", "open descriptors of the worker"),
    ("poll", "one poll, ms of processor"),
    ("processor", "processor of the worker and its builds, s"),
    ("state", "state repository on disk, MiB"),
    ("node", "the worker's files on disk, MiB"),
)
"""What is drawn, each over the time since the beginning."""


def panel(at: int, what: str, title: str, samples: Sequence[dict[str, float]]) -> str:
    """One plot with its axes; it begins at zero."""
    x0 = LEFT + at % 2 * (WIDTH + LEFT + GAP // 2)
    y0 = TOP + at // 2 * (HEIGHT + GAP)
    last, most = samples[-1]["seconds"], max(one[what] for one in samples) or 1
    points = " ".join(
        f"{x0 + one['seconds'] / last * WIDTH:.1f},{y0 + HEIGHT - one[what] / most * HEIGHT:.1f}" for one in samples
    )
    return (
        f'<text x="{x0}" y="{y0 - 7}">{title}</text>'
        f'<path d="M{x0} {y0}V{y0 + HEIGHT}H{x0 + WIDTH}" fill="none" stroke="{FRAME}"/>'
        f'<text x="{x0 - 5}" y="{y0 + 9}" text-anchor="end">{most:.4g}</text>'
        f'<text x="{x0 - 5}" y="{y0 + HEIGHT}" text-anchor="end">0</text>'
        f'<text x="{x0 + WIDTH}" y="{y0 + HEIGHT + 14}" text-anchor="end">{last / 60:.0f} min</text>'
        f'<polyline points="{points}" fill="none" stroke="{LINE}" stroke-width="1.2"/>'
    )


def drawn(samples: Sequence[dict[str, float]]) -> str:
    """All of them as one SVG."""
    width, height = 2 * (WIDTH + LEFT) + GAP, TOP + (len(PANELS) + 1) // 2 * (HEIGHT + GAP)
    thin = samples[:: max(1, len(samples) // 400)]
    panels = "\n".join(panel(at, what, title, thin) for at, (what, title) in enumerate(PANELS))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11" fill="{INK}" role="img">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n{panels}\n</svg>\n'
    )


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        sys.stdout.write(drawn(json.load(file)))
