"""The interactive page: one JSON trace, a style sheet and a script in one HTML file that needs nothing else.

The page loads nothing and evaluates nothing: its content policy forbids every request, and allows only the one script
and the one style sheet whose hashes it names.  Data are JSON in which no character can end the element around it.

Arrays are packed so that a browser unpacks them without a library.  Each is stored plane by plane (all first bytes, all
second bytes, ...), which compresses well; all arrays together are one zlib stream in base64.  If that is too long,
numbers are rounded to the four digits that pages show; if it still is, the largest arrays are described instead;
of a long walk, in which most are, the corner of a plane is shown.
"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...render.latex import formula
from ...render.layout import layered
from ...render.mathml import mathml
from ...render.page import html_page, inert, planes
from ...render.svg import coordinate, element_colours, text_width
from ...render.text import clean, cut, cut_path, number, numbers, uniform
from ...tape import Tensor
from ..graph.zoom import Group, calls, chains, lines, owners
from ..layers import layer_path
from ..window_geometry import WindowGeometry, geometries

if TYPE_CHECKING:
    from .stepper import Event, Stepper

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
    shown = geometries(tape)
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
        "note": clean(stepper.note),
    }
    where = [formulas.add(clean(_where(line))) for line in tape]
    long = {
        "texts": formulas.texts,
        "events": made,
        "graph": _graph(stepper),
        "pictures": drawn,
        "where": where,
        "outline": outline(stepper),
    }
    return with_arrays(data, pack, long, largest)


def _where(line: Tensor) -> str:
    """The layers around a line and its call, "layer1 > 0 > conv1 > conv2d"; "" outside layers."""
    path = line.scope.path if line.scope else ()
    inner = [s.name for s in path if s.kind == "call"][:1]
    return " > ".join((*layer_path(line.scope), *inner)) if layer_path(line.scope) else ""


def outline(stepper: Stepper) -> list[list[Any]]:
    """[phase, depth, name, step] for the first step of each layer, forward and backward, in the order of the walk."""
    found: dict[tuple[str, tuple[str, ...]], int] = {}
    for event in stepper:
        path = layer_path(event.line.scope)
        for depth in range(1, len(path) + 1):
            found.setdefault((event.phase, path[:depth]), event.index + 1)
    order = sorted(found.items(), key=lambda item: (item[1], len(item[0][1])))
    rows: list[list[Any]] = [[phase, len(path), clean(".".join(path)), step] for (phase, path), step in order]
    sweep = next((event.index + 1 for event in stepper if event.phase == "backward"), None)
    return rows + ([["sweep", 0, "", sweep]] if sweep else [])


def with_arrays(data: dict[str, Any], pack: Pack, long: dict[str, Any], largest: int | None) -> dict[str, Any]:
    """A trace completed by what is long and repeats itself and by the numbers, packed into what ``largest`` leaves for
    them.
    """
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
        found["opens"] = [
            [formulas.add(clean(e.text)), formulas.add(_bare(e.mathml))]
            for e in event.open()
            if e.kind != "input" and e.phase == event.phase
        ]
    return found


def _bare(formula_: str) -> str:
    """A <math> element without the LaTeX that it carries for those who copy it."""
    return re.sub(r"<annotation[^>]*>[^<]*</annotation>", "", formula_)


def _wanted(line: Tensor) -> int:
    """Numbers that a page keeps first: inputs and named lines, then what arithmetic makes, then what only moves."""
    if line.name or line.primitive is None:
        return 0
    return 2 if line.primitive.group == "wiring" else 1


def _picture(picture: WindowGeometry, stepper: Stepper, place: dict[int, int], pack: Pack) -> dict[str, Any]:
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
        about["colours"] = element_colours(picture.kernel.size) if picture.kernel.size <= 256 else []
    if picture.winners is not None:
        about["winners"] = pack.add(picture.winners.astype("f4"))
    if picture.counts is not None:
        about["counts"] = pack.add(picture.counts)
    return about


def _graph(stepper: Stepper) -> dict[str, Any] | None:
    """Boxes and edges with their coordinates: every line, or calls for a long tape (of Scalars, what is read once with
    its reader), or nothing for a very long one."""
    tape = stepper.tape
    groups: Sequence[Group] = lines(tape) if len(tape) <= MANY else calls(tape)
    if len(groups) > MANY and not any(x.ndim for x in tape):
        groups = chains(tape, {id(x) for i, x in enumerate(tape) if stepper.names[id(x)] != f"%{i}"})
    if len(groups) > TANGLE:
        return None
    owner = owners(list(groups))
    boxes, pairs = [], []
    for k, group in enumerate(groups):
        last = group.lines[-1]
        name = stepper.names[id(last)]
        what = group.scope.name if group.scope else last.primitive.name if last.primitive else ""
        says = ""
        if group.scope is None and len(group.lines) > 1:
            says = f"{len(group.lines)} lines, {what} last"
        elif group.scope is None and last.primitive is not None:
            operands = [cut_path(stepper.names[id(x)], 14) for x in last.operands]
            says = cut(clean(formula(last.primitive, operands)), 30)
        elif group.scope is None and last.constant:
            says = uniform(last.value) or ""
        boxes.append((cut_path(clean(name), 24), says or cut(clean(what), 30)))
        read = {owner[id(x)]: None for line in group.lines for x in line.operands if owner[id(x)] != k}
        pairs += [(a, k) for a in read]
    sizes = [(max(text_width(a, 12), text_width(b, 10), 24.0) + 14, 34.0 if b else 22.0) for a, b in boxes]
    placed = layered(sizes, pairs)
    short = lambda values: [round(v, 1) for v in values]
    return {
        "width": round(placed.width, 1),
        "height": round(placed.height, 1),
        "boxes": [
            [a, b, *short((x.left, x.top, x.width, x.height))]
            for (a, b), x in zip(boxes, placed.boxes, strict=True)
        ],
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


def html(data: dict[str, Any], title: str) -> str:
    """A whole page for a trace."""
    body = f'{_static("page.html")}<script type="application/json" id="trace">{inert(data)}</script>'
    return html_page(title, body, css=_static("page.css"), script=_static(*SCRIPTS), inline_styles=False)


# ---- packed numbers

DIGITS = 4
LISTED = 4096
ALL_BUT, CORNERS = 0.75, 30_000  # corners are shown where so many arrays are too large; numbers in all of them


class Pack:
    """The arrays of a page, each stored once; ``add`` gives the number by which the page knows it."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._arrays: list[np.ndarray] = []
        self._keep: list[Any] = []  # ids stay valid while the arrays live
        self._wanted: list[int] = []

    def add(self, array: Any, wanted: int = 0) -> int:
        """The number of ``array``; those with smaller ``wanted`` are kept first."""
        known = self._numbers.get(id(array))
        if known is None:
            flat = np.asarray(array)
            content = (flat.shape, flat.dtype.str, flat.tobytes()) if flat.dtype != object else id(array)
            known = self._numbers.setdefault(content, len(self._arrays))
            self._numbers[id(array)] = known
            self._keep.append(array)
            if known == len(self._arrays):
                self._arrays.append(flat)
                self._wanted.append(wanted)
        self._wanted[known] = min(wanted, self._wanted[known])
        return known

    def described(self) -> list[dict[str, Any]]:
        """What a page knows of each array besides its packed numbers."""
        return [
            {"shape": list(x.shape), "code": "f8", "at": 1_000_000, "says": "-1.234e-05 .. 1.234e-05"}
            | ({"list": [number(v) for v in x.reshape(-1).tolist()]} if _listed(x) else {})
            for x in self._arrays
        ]

    def build(self, budget: int | None, text: bytes = b"") -> tuple[list[dict[str, Any]], str, bool]:
        """(a description of each array, the base64 stream, whether numbers were rounded); ``budget``: characters at
        most.

        ``text`` (JSON of what is long and repeats itself) goes first into the stream and counts as well.
        """
        order = sorted(range(len(self._arrays)), key=lambda i: (self._wanted[i], self._arrays[i].size, i))
        hopeless = set[int]()  # beyond these the numbers cannot fit, however well they compress
        if budget is not None:
            ends = np.cumsum([self._arrays[i].size for i in order])
            hopeless = {i for i, end in zip(order, ends, strict=True) if end > 8 * budget}
        for digits in (0, DIGITS):
            coded = [("f8", b"") if i in hopeless else _encode(x, digits) for i, x in enumerate(self._arrays)]
            sizes = [len(zlib.compress(data, 6)) * 4 // 3 if data else 0 for _, data in coded]
            room = None if budget is None else budget - len(zlib.compress(text, 9)) * 4 // 3
            if room is None or (not hopeless and sum(sizes) <= room):
                kept = set(order)
                break
        else:
            kept, used = set(), 0
            for i in order:
                if room is not None and coded[i][1] and used + sizes[i] <= room:
                    kept.add(i)
                    used += sizes[i]
        stream, described = [text], self.described()
        at = len(text)
        side = self.corners(kept)
        for i, about in enumerate(described):
            code, data = coded[i]
            about.pop("code"), about.pop("at"), about.pop("says")
            if "list" not in about and i in kept and data:
                about |= {"code": code, "at": at}
                stream.append(data)
                at += len(data)
            elif "list" not in about:
                about["says"] = numbers(self._arrays[i])
                part = corner(self._arrays[i], side)
                code, data = _encode(part, DIGITS)
                if data:
                    about |= {"code": code, "at": at, "part": list(part.shape)}
                    stream.append(data)
                    at += len(data)
        packed = b64encode(zlib.compress(b"".join(stream), 9)).decode()
        return described, packed, digits > 0

    def corners(self, kept: set[int]) -> int:
        """The side of the corners that are shown of the other arrays where most are too large, as in a long walk; 0:
        none."""
        others = [x.size for i, x in enumerate(self._arrays) if i not in kept and not _listed(x)]
        if len(others) < ALL_BUT * len(self._arrays):
            return 0
        return next((n for n in (8, 4, 2) if sum(min(n * n, size) for size in others) <= CORNERS), 0)


def corner(array: np.ndarray, side: int) -> np.ndarray:
    """The first ``side`` rows and columns of one plane: the smallest square of neighbouring axes (the image of a
    channel, a kernel), else the two largest axes."""
    shape = array.shape
    squares = [(n, -k) for k, (n, m) in enumerate(pairwise(shape)) if n == m > 1]
    largest = sorted(range(len(shape)), key=lambda k: -shape[k])[:2]
    shown = {-min(squares)[1], 1 - min(squares)[1]} if squares else set(largest)
    return array[tuple(slice(0, side if k in shown else min(side, 1)) for k in range(len(shape)))]


def _listed(array: np.ndarray) -> bool:
    """Whether an array is written out in the trace: whole numbers, truth values and fractions, which have no packed
    form.
    """
    return array.dtype.kind != "f" and array.size <= LISTED


def _encode(array: np.ndarray, digits: int) -> tuple[str, bytes]:
    """("f4" or "f8" or "i4", bytes plane by plane) of a numeric array; nothing for others."""
    if array.dtype.kind in "iub":
        return "f8", planes(array.astype("<f8")) if array.size > LISTED else b""
    if array.dtype.kind != "f":
        return "f8", b""
    flat = array.astype("<f8").reshape(-1)
    if digits:
        flat = rounded(flat, digits)
        finite = np.abs(flat[np.isfinite(flat) & (flat != 0)])
        if not finite.size or (finite.max() < 3e38 and finite.min() > 1e-37):
            return "f4", planes(_trim(flat.astype("<f4")))
        return "f8", planes(flat)
    if array.dtype == np.float32:
        return "f4", planes(flat.astype("<f4"))
    return "f8", planes(flat)


def rounded(flat: np.ndarray, digits: int) -> np.ndarray:
    """Every number at ``digits`` significant digits, exactly as ``text.number`` writes it."""
    return np.array([float(f"{x:.{digits}g}") for x in flat.tolist()])


def _trim(flat: np.ndarray) -> np.ndarray:
    """float32 with 14 bits of mantissa: an error below 2^-15, less than half a unit of the fourth digit."""
    bits = flat.view("<u4")
    finite = np.isfinite(flat)
    return np.where(finite, (bits + 0x100) & 0xFFFFFE00, bits).astype("<u4").view("<f4")
