"""The walk as still pictures, for places that run no script: an untrusted notebook, GitHub, a printed page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...render.notebook import picture
from ...render.picture import document
from ...render.svg import coordinate, text, text_width
from ...render.text import clean, cut, number

if TYPE_CHECKING:
    from .stepper import Event, Stepper

FRAMES = 24  # pictures in a strip; of a longer walk those that make or complete something with a name
TOGETHER = 6  # steps in one picture
ROWS, COLUMNS = 6, 8  # cells of a grid that are drawn
CELL = 20.0


def chosen(stepper: Stepper, frames: int = FRAMES) -> list[Event]:
    """The events of a strip: all, or what comes out of each call, spread evenly over the walk if there are still too
    many.
    """
    listed = [e for e in stepper if e.kind != "input" or not e.line.constant]
    if len(listed) > frames:
        listed = [e for stop in stepper.stops if not stop.unit.quiet for e in stop.results(stepper)] or listed
    if len(listed) > frames:
        at = np.linspace(0, len(listed) - 1, frames).round().astype(int)
        listed = [listed[i] for i in dict.fromkeys(at.tolist())]
    return listed


def sheet(stepper: Stepper, listed: Sequence[Event] | None = None) -> str:
    """Events (by default those of the strip) below each other in one SVG picture: number, text, and the tensors
    involved.
    """
    parts: list[str] = []
    widest, y = 0.0, 10.0
    for event in chosen(stepper) if listed is None else listed:
        made, width, y = _drawn(stepper, event, y)
        parts += made
        widest = max(widest, width)
        y += 12
    return document(widest, y, f"{len(stepper)} steps, forward and backward", parts)


def details(stepper: Stepper) -> str:
    """The strip as images that a reader unfolds; no script, no style, nothing loaded."""
    events = chosen(stepper)
    rows = [events[i : i + TOGETHER] for i in range(0, len(events), TOGETHER)]
    pictures = [
        picture(sheet(stepper, row), "; ".join(clean(cut(event.text, 80)) for event in row)) + "<br/>" for row in rows
    ]
    return (
        f"<details><summary>{len(events)} of {len(stepper)} steps as still "
        f"pictures</summary>{''.join(pictures)}</details>"
    )


def _drawn(stepper: Stepper, event: Event, y: float) -> tuple[list[str], float, float]:
    """SVG parts of one event from height ``y`` on, their width, and the height where they end."""
    words = f"{event.index + 1:>{len(str(len(stepper)))}}/{len(stepper)}  {cut(event.text, 96)}"
    look = "first" if event.phase == "forward" else "second"
    parts = [
        f'<rect class="ac-{"right" if look == "first" else "wrong"}" x="8" y="{y + 2:.0f}" width="4" height="14"/>'
    ]
    parts.append(text(18, y + 13, words, size=11))
    x, tallest = 18.0, 0.0
    for label, array in _grids(event):
        made, width, height = _grid(x, y + 24, label, array)
        parts += made
        x, tallest = x + width + 16, max(tallest, height)
    return parts, max(x, 18 + text_width(words, 11) + 10), y + 26 + tallest


def _grids(event: Event) -> Sequence[tuple[str, np.ndarray]]:
    names = event.names
    shown: list[tuple[str, np.ndarray | None]]
    if event.phase == "forward":
        shown = [*((names[id(x)], x.value) for x in event.line.operands), (names[id(event.line)], event.value)]
    else:
        own, goal = names[id(event.line)], names[id(event.target)]
        shown = [(f"grad {own}", event.cotangent)] if event.operand is not None else []
        shown += [(f"grad {goal} before", event.before), (f"grad {goal}", event.after)]
    return [(label, array) for label, array in shown if array is not None]


def _grid(x: float, y: float, label: str, array: np.ndarray) -> tuple[list[str], float, float]:
    """The first rows and columns of an array as coloured cells, under its label."""
    square = np.asarray(array)
    kept = [n for n in square.shape if n != 1]
    square = square.reshape((1, 1) if not kept else (1, kept[0]) if len(kept) == 1 else (-1, kept[-1]))
    shown = square[:ROWS, :COLUMNS]
    title = cut(clean(label), 22) + (f" {array.shape}" if array.ndim else "")
    if not square.size:
        return [text(x, y + 10, title, "soft", 10)], text_width(title, 10), 16.0
    words = [[number(v) for v in row] for row in shown.tolist()]
    cell = max(30.0, *(text_width(word, 9) + 6 for row in words for word in row))
    finite = np.abs(shown.astype(float))[np.isfinite(shown.astype(float))]
    most = float(finite.max()) if finite.size and finite.max() else 1.0
    squares: list[str] = []
    inside: list[str] = []
    for i, row in enumerate(shown.tolist()):
        for j, v in enumerate(row):
            left, top, size = x + j * cell, y + 16 + i * CELL, float(v)
            share = min(1.0, abs(size) / most) if np.isfinite(size) else 1.0
            outline = f"M{coordinate(left)} {coordinate(top)}h{coordinate(cell)}v{CELL:.0f}h{coordinate(-cell)}z"
            look = f'class="ac-{"right" if size > 0 else "wrong"} ac-grid" fill-opacity="{coordinate(0.6 * share)}"'
            squares.append(f'<path {look} d="{outline}"/>')
            inside.append(f'<text x="{coordinate(left + cell / 2)}" y="{coordinate(top + 14)}">{words[i][j]}</text>')
    parts = [text(x, y + 10, title, "soft", 10), *squares]
    parts.append(f'<g class="ac-text ac-ink" font-size="9" text-anchor="middle">{"".join(inside)}</g>')
    more = square.shape != shown.shape
    if more:
        parts.append(
            text(
                x, y + 28 + len(words) * CELL, f"first {shown.shape[0]} x {shown.shape[1]} of {array.size:,}", "soft", 9
            )
        )
    return parts, max(cell * shown.shape[1], text_width(title, 10)), 18 + len(words) * CELL + 16 * more
