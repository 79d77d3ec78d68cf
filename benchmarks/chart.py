"""The picture of a run: for each net, every entrant's time as a multiple of the fastest peer's, and how time grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autoconv.render.chart import stroke
from autoconv.render.picture import Picture, document
from autoconv.render.svg import coordinate, rect, text, tooltip

LEFT, RIGHT, TOP, ROW = 190.0, 30.0, 96.0, 26.0
SIDE = 16.0  # of a mark, with a little room
# entrant -> letters drawn at its place; ours are filled
MARKS = {
    "torch": "t",
    "torch channels_last": "l",
    "torch compile": "c",
    "jax": "j",
    "tinygrad": "g",
    "HIPS autograd": "h",
}
OURS = {"autoconv compiled": "right", "autoconv eager": "wrong"}


def ratios(rows: Sequence[dict[str, Any]], title: str) -> Picture:
    """rows: {case, entrant, median}.  The time of each entrant over the fastest peer's of its case,
    on a logarithmic axis."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    best = {c: min(r["median"] for r in rows if r["case"] == c and r["entrant"] in MARKS) for c in cases}
    found = [row["median"] / best[row["case"]] for row in rows]
    mine = {c: sorted((r for r in rows if r["case"] == c), key=lambda r: r["median"]) for c in cases}
    low, high = 2.0 ** math.floor(math.log2(min(found))), 2.0 ** math.ceil(math.log2(max(found)))
    width = 760.0

    def px(ratio: float) -> float:
        return LEFT + math.log(ratio / low) / math.log(high / low) * (width - LEFT - RIGHT)

    beside = {c: lanes([px(r["median"] / best[c]) for r in mine[c]]) for c in cases}
    heights = [ROW + SIDE * max(beside[c]) for c in cases]
    bottom = TOP + sum(heights)
    height = bottom + 46
    parts = [text(16, 24, title, size=14, font_weight="bold"), *legend(48, rows)]
    tick = low
    while tick <= high:
        look = "axis" if tick == 1 else "grid"
        parts.append(stroke(look, [(px(tick), TOP - 6), (px(tick), bottom)], 1.6 if tick == 1 else 1.0))
        parts.append(text(px(tick), bottom + 18, f"{tick:g}", "soft", 11, "middle"))
        tick *= 2
    parts.append(
        text(width - RIGHT, bottom + 36, "time / the fastest peer's time (further left is faster)", "soft", 11, "end")
    )
    for i, case in enumerate(cases):
        top = TOP + sum(heights[:i])
        if i % 2:
            parts.append(rect(12, top, width - 24, heights[i], "halo", fill="none"))
        parts.append(text(LEFT - 12, top + heights[i] / 2 + 4, case, size=12, anchor="end"))
        for row, lane in zip(mine[case], beside[case], strict=True):
            ratio, y = row["median"] / best[case], top + ROW / 2 + SIDE * lane
            parts.append(mark(px(ratio), y, row["entrant"], f"{case}: {row['entrant']} {ratio:.2f}"))
    return document(width, height, title, parts)


def growth(rows: Sequence[dict[str, Any]], title: str) -> Picture:
    """rows: {series, size, entrant, median}.  Milliseconds over size for each series, both axes logarithmic,
    side by side."""
    series = list(dict.fromkeys(row["series"] for row in rows))
    each, height = 300.0, 330.0
    parts = [text(16, 24, title, size=14, font_weight="bold"), *legend(48, rows)]
    for k, name in enumerate(series):
        mine = [row for row in rows if row["series"] == name]
        sizes = sorted({row["size"] for row in mine})
        times = [row["median"] for row in mine]
        low, high = (f(math.log10(t)) for f, t in ((math.floor, min(times)), (math.ceil, max(times))))
        left, top, bottom = 60 + k * each, TOP, height - 46
        px = lambda size, left=left, sizes=sizes: (
            left + 210 * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])
        )
        py = lambda t, low=low, high=high: bottom - (bottom - top) * (math.log10(t) - low) / max(1, high - low)  # noqa: B023
        for power in range(low, high + 1):
            y = py(10.0**power)
            parts.append(stroke("grid", [(left, y), (left + 210, y)]))
            parts.append(text(left - 6, y + 4, f"{10.0 ** (power + 3):g}", "soft", 10, "end"))
        for size in sizes:
            parts.append(text(px(size), bottom + 16, str(size), "soft", 10, "middle"))
        parts.append(text(left + 105, bottom + 34, name, size=11, anchor="middle"))
        for entrant in dict.fromkeys(row["entrant"] for row in mine):
            points = [(px(row["size"]), py(row["median"])) for row in mine if row["entrant"] == entrant]
            parts.append(stroke("first" if entrant in OURS else "edge", points, 2.0 if entrant in OURS else 1.0))
            parts += [
                f'<circle class="ac-tip" cx="{coordinate(x)}" cy="{coordinate(y)}" r="2.5"/>'
                for x, y in points
                if entrant not in OURS
            ]
        ends = sorted((row for row in mine if row["size"] == sizes[-1]), key=lambda row: -row["median"])
        right, below = px(sizes[-1]), -math.inf
        for row in ends:  # who a line is stands at its end; those that would hide each other below each other
            end = py(row["median"])
            below = max(end, below + SIDE)
            parts.append(stroke("grid", [(right, end), (right + 22, below)]))
            parts.append(mark(right + 22, below, row["entrant"], f"{row['entrant']}, {name}"))
    parts.append(text(16, TOP - 14, "ms a step", "soft", 11))
    return document(60 + each * len(series), height, title, parts)


def lanes(places: Sequence[float]) -> list[int]:
    """A lane for each of ``places`` (ascending) on one line, so that no two marks in a lane lie on each other."""
    ends: list[float] = []  # of each lane: where its last mark ends
    found = []
    for place in places:
        lane = next((k for k, end in enumerate(ends) if end <= place), len(ends))
        ends[lane : lane + 1] = [place + SIDE]
        found.append(lane)
    return found


def mark(x: float, y: float, entrant: str, words: str) -> str:
    """One entrant's place: a filled square for ours, its letter in a circle for a peer."""
    if entrant in OURS:
        return f"<g>{tooltip(words)}{rect(x - 6, y - 6, 12, 12, OURS[entrant])}</g>"
    circle = f'<circle class="ac-page ac-edge" cx="{coordinate(x)}" cy="{coordinate(y)}" r="7.5"/>'
    return f"<g>{tooltip(words)}{circle}{text(x, y + 3.5, MARKS[entrant], size=10, anchor='middle')}</g>"


def legend(y: float, rows: Sequence[dict[str, Any]]) -> list[str]:
    parts, x = [], 24.0
    present = {row["entrant"] for row in rows}
    for entrant in (name for name in (*OURS, *MARKS) if name in present):
        parts += [mark(x, y, entrant, entrant), text(x + 12, y + 4, entrant, size=11)]
        x += 30 + 6.7 * len(entrant)
        if x > 620:
            x, y = 24.0, y + 20
    return parts
