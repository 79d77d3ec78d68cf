"""The interactive page: one JSON trace, a style sheet and a script in one HTML file that needs nothing else.

The trace says the walk three times: as units (what a map of the net shows), as stops (a unit at work, at which the page
steps), and as events (its lines, into which a stop opens).  Numbers are in ``packing``, within a budget.  The page
loads nothing and evaluates nothing: its content policy forbids every request, and allows only the one script and the
one style sheet whose hashes it names.  Data are JSON in which no character can end the element around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...render.latex import formula
from ...render.mathml import mathml
from ...render.notation import SLOT
from ...render.page import html_page, inert
from ...render.svg import element_colours
from ...render.text import clean, cut, uniform
from ...tape import Tensor
from ..layers import layer_path
from ..lines import is_number
from ..window_geometry import WindowGeometry, geometries
from .axes import Axes, axes_of
from .call_equations import equation, named
from .packing import Pack
from .units import Stop, Unit

if TYPE_CHECKING:
    from .stepper import Event, Stepper

# Characters of a whole page; what the numbers may take is what the rest leaves.  A net of many calls may have more:
# so much for each, which holds a feature map of 64 x 64 numbers, up to a size that mail and browsers take.
SMALL, PER_STOP, LARGEST = 400_000, 12_000, 2_000_000
SLIDES = ("windows", "contract")  # lines in which a window is seen to slide
VALUES = ("operand", "result")  # roles of grids that show a line's own value
STATIC = Path(__file__).parent / "static"
SHARED = ("numbers.js", "grid.js", "tiles.js", "controls.js")


def stepper_page(stepper: Stepper, numbers: str = "auto") -> str:
    """The page of a stepper; ``numbers`` as in ``Stepper.save``."""
    if numbers not in ("auto", "all"):
        raise ValueError(f"save: numbers={numbers!r}; use 'auto' (large tensors are cut) or 'all'")
    y = stepper.tape.outputs[0]
    return html(trace(stepper, None if numbers == "all" else budget(stepper)), f"Step through {stepper.names[id(y)]}")


def budget(stepper: Stepper) -> int:
    """The characters that the page of a stepper may have: the more calls, the more."""
    return min(LARGEST, max(SMALL, PER_STOP * len(stepper.stops)))


class _Page:
    """What the parts of a trace have in common."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper, self.names = stepper, stepper.names
        self.place = {id(line): i for i, line in enumerate(stepper.tape)}
        self.pack, self.texts = Pack(), Strings()
        self.shown = geometries(stepper.tape)
        self.axes = axes_of(stepper.tape, self.shown)
        self.units = stepper.units
        self.number = {id(u): k for k, u in enumerate(self.units)}
        self.unit = {id(x): k for k, u in enumerate(self.units) for x in u.lines}
        ends = {id(u.output) for u in self.units} | {id(x) for u in self.units for x in u.given}
        self.first = ends | {id(line) for line in stepper.tape if line.primitive is None}

    def gradient(self, line: Tensor) -> np.ndarray | None:
        """The gradient of a line at the end of the walk."""
        return next(
            (e.after for e in reversed(self.stepper.events) if e.target is line and e.phase == "backward"), None
        )

    def wanted(self, line: Tensor) -> int:
        """The class of a line's numbers: what calls read and give; inside them what is computed, what only moves."""
        if id(line) in self.first:
            return 0
        return 2 if line.primitive is not None and line.primitive.group == "wiring" else 1

    def grid(self, role: str, label: str, array: Any, line: Tensor, wanted: int | None = None) -> list[Any]:
        """[role, label, number of the array, whose elements it has]."""
        known = self.wanted(line) if wanted is None else wanted
        at = self.pack.add(array, known, self._axes(line, role), ("value", id(line)) if role in VALUES else None)
        return [role, self.texts.add(clean(label)), at, self.place[id(line)]]

    def _axes(self, line: Tensor, role: str) -> Axes:
        axes = self.axes[id(line)]
        return axes if role in VALUES or not axes.picture else Axes(axes.tile, axes.others)


def trace(stepper: Stepper, largest: int | None) -> dict[str, Any]:
    """Everything the page shows, as JSON data: units, stops, events, pictures, equations and packed numbers.

    ``largest``: the characters that a page may have; arrays are cut to keep to it.
    """
    page = _Page(stepper)
    found = stepper.stops
    drawn = [_picture(p, page) for p in page.shown]
    made = [_event(event, page) for event in stepper]
    data: dict[str, Any] = {
        "kind": "walk",
        "position": max(1, stepper.position),
        "note": clean(stepper.note),
    }
    long = {
        "texts": page.texts.texts,
        "lines": [_line(line, page) for line in stepper.tape],
        "events": made,
        "units": [_unit(unit, page) for unit in page.units],
        "stops": [_stop(stop, page) for stop in found],
        "pictures": drawn,
    }
    return with_arrays(data, page.pack, long, largest)


def _line(line: Tensor, page: _Page) -> dict[str, Any]:
    """A line: its name, row, what it reads and what its scalars are computed by."""
    row = line.primitive
    about: dict[str, Any] = {
        "name": clean(page.names[id(line)]),
        "row": row.name if row else "constant" if line.constant else "input",
        "reads": [page.place[id(x)] for x in line.operands],
        "unit": page.unit.get(id(line), -1),
        "number": uniform(line.value) if is_number(line) else None,
        "where": page.texts.add(clean(_where(line))),
    }
    if row is not None:
        about["group"] = row.group
        if row.group == "arithmetic":
            about["formula"] = formula(row, [chr(SLOT + k) for k in range(len(line.operands))])
        about |= {key: line.params[key] for key in ("spec", "axis", "keepdims") if _plain(line.params.get(key))}
    return about


def _plain(value: Any) -> bool:
    return isinstance(value, str | int) or (isinstance(value, tuple) and all(isinstance(v, int) for v in value))


def _where(line: Tensor) -> str:
    """The layers around a line and its call, "layer1 > 0 > conv1 > conv2d"; "" outside layers."""
    path = line.scope.path if line.scope else ()
    inner = [s.name for s in path if s.kind == "call"][:1]
    return " > ".join((*layer_path(line.scope), *inner)) if layer_path(line.scope) else ""


def _unit(unit: Unit, page: _Page) -> dict[str, Any]:
    return {
        "kind": unit.kind,
        "name": clean(unit.name),
        "title": clean(unit.title),
        "call": clean(unit.call),
        "says": clean(cut(unit.says, 60)),
        "path": [clean(name) for name in unit.path],
        "shape": list(unit.output.shape),
        "quiet": unit.quiet,
        "reads": unit.reads,
        "line": page.place[id(unit.output)],
        "inside": sum(x.primitive is not None for x in unit.lines),
    }


def _stop(stop: Stop, page: _Page) -> dict[str, Any]:
    """A unit at work: where its events are, its equation, and the arrays that go in and come out."""
    unit, names = stop.unit, page.names
    events = page.stepper.events[stop.first : stop.last + 1]
    inside = {id(x) for x in unit.lines}
    grids: list[list[Any]] = []
    read = {id(x): x for line in unit.lines for x in line.operands if id(x) not in inside and not is_number(x)}
    if stop.phase == "forward":
        if unit.kind == "call":
            grids += [page.grid("operand", names[key], x.value, x) for key, x in read.items()]
        elif (end := page.gradient(unit.output)) is not None:
            grids.append(page.grid("after", f"gradient of {names[id(unit.output)]}, in the end", end, unit.output))
        grids.append(page.grid("result", names[id(unit.output)], unit.output.value, unit.output))
    else:
        seeded = any(e.kind == "seed" for e in events)
        came = next((e.cotangent for e in events if e.line is unit.output and e.cotangent is not None), None)
        if came is not None and unit.kind == "call" and not seeded:
            label = f"gradient of {names[id(unit.output)]}"
            grids.append(page.grid("cotangent", label, came, unit.output))
        about_it = {*read, id(unit.output)}
        last = {
            id(e.target): e for e in events if id(e.target) in about_it and (e.kind == "seed" or id(e.target) in read)
        }
        last |= {id(e.target): e for e in events if unit.kind == "input" and e.target is unit.output}
        for e in last.values():
            if e.after is not None:
                summed = " so far" if e.kind == "accumulate" and _more(e, page) else ""
                label = f"gradient of {names[id(e.target)]}{summed}"
                grids.append(page.grid("after", label, e.after, e.target))
        grids += [page.grid("operand", names[key], x.value, x) for key, x in read.items() if not x.constant]
    picture = next((p for p in page.shown if p.output is not None and any(x is unit.output for x in p.lines)), None)
    about = equation(unit, stop.phase, names, picture)
    shown = [page.texts.add(_bare(mathml(latex, display=True))) for latex in about.latex]
    if stop.phase == "backward" and not shown:
        told = [e for e in events if e.kind == "accumulate"]
        latex = told[0].latex if len(told) == 1 else named(unit, names)
        shown = [page.texts.add(_bare(mathml(latex, display=True)))]
    legend = [[page.texts.add(_bare(mathml(letter))), page.texts.add(clean(name))] for letter, name in about.legend]
    return {
        "unit": page.number[id(unit)],
        "phase": stop.phase,
        "first": stop.first,
        "last": stop.last,
        "grids": grids,
        "math": shown,
        "legend": legend,
    }


def _more(event: Event, page: _Page) -> bool:
    """Whether the gradient of an event's target changes once more later."""
    return any(e.target is event.target and e.kind == "accumulate" for e in page.stepper.events[event.index + 1 :])


def with_arrays(
    data: dict[str, Any], pack: Pack, long: dict[str, Any], largest: int | None, page: Html | None = None
) -> dict[str, Any]:
    """A trace completed by what is long and repeats itself and by the numbers, packed into what ``largest`` leaves for
    them in ``page`` (default: the walk's).
    """
    rest = len((page or html)({**data, "packed": "", "text": 10_000_000, "rounded": False}, ""))
    packed, text, rounded = pack.build(None if largest is None else max(0, largest - rest), long)
    return {**data, "rounded": rounded, "text": text, "packed": packed}


class Strings:
    """Texts that repeat themselves, stored once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._number: dict[str, int] = {}

    def add(self, text: str) -> int:
        if text not in self._number:
            self._number[text] = len(self.texts)
            self.texts.append(text)
        return self._number[text]


def _event(event: Event, page: _Page) -> dict[str, Any]:
    """One event: what it is about, its texts and formulas, and the grids to show with it."""
    line, target, names, texts = event.line, event.target, event.names, page.texts
    grids: list[list[Any]] = []

    def show(role: str, label: str, array: Any, of: Tensor, wanted: int | None = None) -> None:
        if array is not None:
            grids.append(page.grid(role, label, array, of, wanted))

    name, goal = names[id(line)], names[id(target)]
    shown = [x for x in dict.fromkeys(line.operands) if not is_number(x)]
    if event.phase == "forward":
        for x in shown:
            show("operand", names[id(x)], x.value, x)
        show("result", name, line.value, line)
    elif event.operand is not None:
        show("cotangent", f"gradient of {name}", event.cotangent, line)
        for x in shown:
            show("operand", names[id(x)], x.value, x)
        if event.before is not None:
            show("before", f"gradient of {goal}, before", event.before, target, 2)
            show("contribution", f"contribution to {goal}", event.contribution, target, 2)
        show("after", f"gradient of {goal}", event.after, target)
    else:
        show("after", f"gradient of {goal}", event.after, target)
        show("operand", goal, target.value, target)
    formula_ = event.local_latex
    found: dict[str, Any] = {
        "kind": event.kind,
        "line": page.place[id(line)],
        "target": page.place[id(target)],
        "says": texts.add(clean(event.text)),
        "math": texts.add(_bare(event.mathml)),
        "grids": grids,
    }
    if event.operand is not None:
        found["operand"] = event.operand
    if formula_:
        found["local"] = texts.add(_bare(mathml(formula_, display=True)))
        slope = event.local
        if slope is not None:
            grids.insert(1, page.grid("local", f"local derivative d {name} / d {goal}", slope, line, 2))
    if event.opens:
        found["opens"] = [
            [texts.add(clean(e.text)), texts.add(_bare(e.mathml))]
            for e in event.open()
            if e.kind != "input" and e.phase == event.phase
        ]
    return found


def _bare(formula_: str) -> str:
    """A <math> element without the LaTeX that it carries for those who copy it."""
    return re.sub(r"<annotation[^>]*>[^<]*</annotation>", "", formula_)


def _picture(picture: WindowGeometry, page: _Page) -> dict[str, Any]:
    """A convolution or pooling for the page: geometry, and the numbers of the arrays with their gradients."""
    stepper, place = page.stepper, page.place
    given: dict[Tensor, Any] = {}  # what this call alone sends to its input and kernel
    members = {id(x) for x in picture.lines}
    for event in stepper:
        if id(event.line) in members and event.contribution is not None:
            before = given.get(event.target)
            given[event.target] = event.contribution if before is None else before + event.contribution
        elif event.kind in ("accumulate", "seed") and event.target is picture.output:
            given[event.target] = event.after
    about: dict[str, Any] = {
        "kind": picture.kind,
        "lines": [place[id(x)] for x in picture.lines],
        "slides": [place[id(x)] for x in picture.lines if x.primitive is not None and x.primitive.name in SLIDES],
        "window": picture.window,
        "stride": picture.stride,
        "dilation": picture.dilation,
        "cells": picture.cells,
        "read": picture.read,
        "weight": picture.weight,
        "made": picture.made,
    }
    for role, x in (("input", picture.input), ("kernel", picture.kernel), ("output", picture.output)):
        if x is not None:
            about[role] = {
                "name": clean(stepper.names[id(x)]),
                "value": page.grid("operand", "", x.value, x, 0)[2],
                "grad": page.grid("after", "", given[x], x, 0)[2] if x in given else -1,
                "line": place[id(x)],
            }
    if picture.kernel is not None:
        about["colours"] = element_colours(picture.kernel.size) if picture.kernel.size <= 256 else []
    if picture.winners is not None:
        about["winners"] = _as_output(picture, picture.winners.astype("f4"), page)
    if picture.counts is not None:
        about["counts"] = _as_output(picture, picture.counts, page)
    return about


def _as_output(picture: WindowGeometry, flat: np.ndarray, page: _Page) -> int:
    """The number of an array that has one number for each element of the output, in its order."""
    return page.pack.add(flat.reshape(picture.output.shape), 0, page.axes[id(picture.output)])


# ---- HTML


@cache
def _static(*names: str) -> str:
    """Files of the page, without the white space and the comments that only their readers need."""
    read = ((STATIC / name).read_text(encoding="utf-8") for name in names)
    lines = (line.strip() for text in read for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("// "))


@dataclass(frozen=True)
class Html:
    """A kind of page: its body and its scripts; called with a trace and a title it gives the whole page."""

    body: str
    scripts: tuple[str, ...]

    def __call__(self, data: dict[str, Any], title: str) -> str:
        inside = f'{_static(self.body)}<script type="application/json" id="trace">{inert(data)}</script>'
        return html_page(title, inside, css=_static("page.css"), script=_static(*self.scripts), inline_styles=False)


html = Html("page.html", (*SHARED, "map.js", "scalars.js", "picture.js", "walk.js"))
TRAINING = Html("training.html", (*SHARED, "curve.js", "training.js"))
