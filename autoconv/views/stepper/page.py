"""The interactive page: one JSON trace, a style sheet and a script in one HTML file that needs nothing else.

The page loads nothing and evaluates nothing: its content policy forbids every request, and allows only the one script and
the one style sheet whose hashes it names.  Data are JSON in which no character can end the element around it.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...render.colour import element_colours
from ...render.layout import layered
from ...render.mathml import mathml
from ...render.svg import coordinate, text_width
from ...render.text import clean, cut, formula, uniform
from ...tape import Tensor
from ..graph.zoom import Group, calls, lines, owners
from .gridpicture import Picture, pictures
from .pack import Pack
from .trace import Event

if TYPE_CHECKING:
    from .stepper import Stepper

LARGEST = 148_000  # characters of a whole page; what the numbers may take is what the rest leaves
MANY, TANGLE = 160, 400  # lines drawn one by one; boxes drawn at all
STATIC = Path(__file__).parent / "static"
SCRIPTS = ("numbers.js", "grid.js", "picture.js", "graph.js", "curve.js", "page.js")


def stepper_page(stepper: Stepper, numbers: str = "auto") -> str:
    """The page of a stepper; ``numbers`` as in ``Stepper.save``."""
    if numbers not in ("auto", "all"):
        raise ValueError(f"save: numbers={numbers!r}; use 'auto' (large tensors are summarised) or 'all'")
    y = stepper.tape.outputs[0]
    return html(trace(stepper, None if numbers == "all" else LARGEST), f"Step through {stepper.names[id(y)]}")


def trace(stepper: Stepper, largest: int | None = LARGEST) -> dict[str, Any]:
    """Everything the page shows, as JSON data: lines, events, graph, pictures, formulas and packed numbers.

    ``largest``: the characters that a page may have; the numbers of the largest arrays are left out to keep to it.
    """
    tape, names = stepper.tape, stepper.names
    place = {id(line): i for i, line in enumerate(tape)}
    pack, formulas = Pack(), Strings()
    shown = pictures(tape)
    drawn = [_picture(p, stepper, place, pack) for p in shown]
    made = [_event(event, place, pack, formulas, stepper) for event in stepper]
    described = [
        {
            "name": clean(names[id(line)]),
            "place": place[id(line)],
            "row": line.primitive.name if line.primitive else "constant" if line.constant else "input",
            "reads": [place[id(x)] for x in line.operands],
        }
        for line in tape
    ]
    data: dict[str, Any] = {
        "kind": "walk",
        "position": max(1, stepper.position),
        "lines": described,
    }
    long = {"texts": formulas.texts, "events": made, "graph": _graph(stepper), "pictures": drawn}
    return with_arrays(data, pack, long, largest)


def with_arrays(data: dict[str, Any], pack: Pack, long: dict[str, Any], largest: int | None) -> dict[str, Any]:
    """A trace completed by what is long and repeats itself and by the numbers, packed into what ``largest`` leaves for them."""
    text = json.dumps(long, separators=(",", ":"), allow_nan=False).encode()
    rest = len(html(data, "")) + len(inert(pack.described()))
    arrays, packed, rounded = pack.build(None if largest is None else max(0, largest - rest), text)
    return {**data, "arrays": arrays, "rounded": rounded, "text": len(text), "packed": packed}


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


def _event(event: Event, place: dict[int, int], pack: Pack, formulas: Strings, stepper: Stepper) -> dict[str, Any]:
    """One event: what it is about, its texts and formulas, and the grids to show with it."""
    line, target, names = event.line, event.target, event.names
    grids: list[list[Any]] = []

    def show(role: str, label: str, array: Any, wanted: int = 0) -> None:
        if array is not None:
            grids.append([role, formulas.add(clean(label)), pack.add(array, wanted)])

    name, goal = names[id(line)], names[id(target)]
    if event.phase == "forward":
        for x in dict.fromkeys(line.operands):
            show("operand", names[id(x)], x.value, _wanted(x))
        show("result", name, line.value, _wanted(line))
    elif event.operand is not None:
        show("cotangent", f"gradient of {name}", event.cotangent, _wanted(line))
        for x in dict.fromkeys(line.operands):
            show("operand", names[id(x)], x.value, _wanted(x))
        if event.before is not None:
            show("before", f"gradient of {goal}, before", event.before, 2)
            show("contribution", f"contribution to {goal}", event.contribution, 2)
        show("after", f"gradient of {goal}", event.after, _wanted(target))
    else:
        show("after", f"gradient of {goal}", event.after, _wanted(target))
        show("operand", goal, target.value, _wanted(target))
    formula_ = event.local_latex
    found: dict[str, Any] = {
        "kind": event.kind,
        "line": place[id(line)],
        "target": place[id(target)],
        "says": formulas.add(clean(event.text)),
        "math": formulas.add(_bare(event.mathml)),
        "grids": grids,
    }
    if formula_:
        found["local"] = formulas.add(_bare(mathml(formula_, display=True)))
        slope = event.local
        if slope is not None:
            grids.insert(1, ["local", formulas.add(clean(f"local derivative d {name} / d {goal}")), pack.add(slope, 3)])
    if event.opens:
        found["opens"] = [[formulas.add(clean(e.text)), formulas.add(_bare(e.mathml))] for e in event.open() if e.kind != "input" and e.phase == event.phase]  # fmt: skip
    return found


def _bare(formula_: str) -> str:
    """A <math> element without the LaTeX that it carries for those who copy it."""
    return re.sub(r"<annotation[^>]*>[^<]*</annotation>", "", formula_)


def _wanted(line: Tensor) -> int:
    """Numbers that a page keeps first: inputs and named lines, then what arithmetic makes, then what only moves."""
    if line.name or line.primitive is None:
        return 0
    return 2 if line.primitive.group == "wiring" else 1


def _picture(picture: Picture, stepper: Stepper, place: dict[int, int], pack: Pack) -> dict[str, Any]:
    """A convolution or pooling for the page: geometry, and the numbers of the arrays with their gradients."""
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
                "value": pack.add(x.value, -2),
                "grad": pack.add(given[x], -1) if x in given else -1,
            }
    if picture.kernel is not None:
        about["colours"] = element_colours(picture.kernel) if picture.kernel.size <= 256 else []
    if picture.winners is not None:
        about["winners"] = pack.add(picture.winners.astype("f4"))
    if picture.counts is not None:
        about["counts"] = pack.add(picture.counts)
    return about


def _graph(stepper: Stepper) -> dict[str, Any] | None:
    """Boxes and edges with their coordinates: every line, or calls for a long tape, or nothing for a very long one."""
    tape = stepper.tape
    groups: Sequence[Group] = lines(tape) if len(tape) <= MANY else calls(tape)
    if len(groups) > TANGLE:
        return None
    owner = owners(list(groups))
    boxes, pairs = [], []
    for number, group in enumerate(groups):
        last = group.lines[-1]
        name = stepper.names[id(last)]
        what = group.scope.name if group.scope else last.primitive.name if last.primitive else ""
        says = ""
        if group.scope is None and last.primitive is not None:
            says = cut(clean(formula(last.primitive, [stepper.names[id(x)] for x in last.operands])), 30)
        elif group.scope is None and last.constant:
            says = uniform(last.value) or ""
        boxes.append((cut(clean(name), 24), says or cut(clean(what), 30)))
        read = {owner[id(x)]: None for line in group.lines for x in line.operands if owner[id(x)] != number}
        pairs += [(a, number) for a in read]
    sizes = [(max(text_width(a, 12), text_width(b, 10), 24.0) + 14, 34.0 if b else 22.0) for a, b in boxes]
    placed = layered(sizes, pairs)
    short = lambda values: [round(v, 1) for v in values]
    return {
        "width": round(placed.width, 1),
        "height": round(placed.height, 1),
        "boxes": [[a, b, *short((x.left, x.top, x.width, x.height))] for (a, b), x in zip(boxes, placed.boxes, strict=True)],
        "edges": [[a, b, _path(route.curve, route.tip)] for (a, b), route in zip(pairs, placed.routes, strict=True)],
        "owner": [owner[id(line)] for line in tape],
        "zoom": "lines" if len(tape) <= MANY else "calls",
    }  # fmt: skip


def _path(curve: Sequence[tuple[float, float]], tip: tuple[float, float]) -> str:
    (x, y), *rest = curve
    point = lambda p: f"{coordinate(round(p[0], 1))} {coordinate(round(p[1], 1))}"
    bends = "".join("C" + " ".join(map(point, rest[i : i + 3])) for i in range(0, len(rest), 3))
    return f"M{coordinate(x)} {coordinate(y)}{bends}L{point(tip)}"


# ---- HTML


@cache
def _static(*names: str) -> str:
    """Files of the page, without the white space that only their readers need."""
    read = ((STATIC / name).read_text(encoding="utf-8") for name in names)
    return "\n".join(line.strip() for text in read for line in text.splitlines())


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def inert(data: Any) -> str:
    """JSON that can stand in a <script> element: no <, > or & in it, and no line separator of JavaScript."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def html(data: dict[str, Any], title: str) -> str:
    """A whole page for a trace."""
    css, js = _static("page.css"), _static(*SCRIPTS)
    policy = f"default-src 'none'; script-src {_hash(js)}; style-src {_hash(css)}; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(clean(title))}</title><style>{css}</style></head><body>"
        f"{_static('page.html')}"
        f'<script type="application/json" id="trace">{inert(data)}</script><script>{js}</script></body></html>\n'
    )


def iframe(page: str, height: int = 760) -> str:
    """A page inside a notebook's output: a sandbox that runs its script and can reach nothing around it."""
    quoted = page.replace("&", "&amp;").replace("'", "&#39;")  # a page is full of double quotes
    return (
        f'<iframe sandbox="allow-scripts" width="100%" height="{height}" title="step through the tape" '
        f"srcdoc='{quoted}'></iframe>"
    )
