"""``ac.gradient_flow``: how large the gradient is at each step of a net, and which units let none of it through.

One sweep gives the cotangent of every line; a step is a call in a layer (a convolution, a relu) or a line outside of
any.  What a relu, a clip or a sigmoid lets through is its own derivative, which a sweep over that step alone gives; so
an activation of anybody's own is judged as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...backward import steps, sweep
from ...primitives import TABLE
from ...render.picture import Picture, document
from ...render.svg import rect, text, text_width, tooltip
from ...render.text import cut
from ...scalar.expand import CONTRACT
from ...tape import Scope, Tape, Tensor
from ..layers import layer_path, line_names, moved
from ..lines import is_parameter, serves, variables
from .measured import Measured, loss_of, table

FLAT = 0.01  # a derivative below this lets next to nothing through
FAR = 1e3  # a ratio of gradients that a reader should know of
LISTED = 8  # units that are named
BAR = 300.0


@dataclass(frozen=True)
class Flow:
    """One step of a net.

    value, gradient: the root mean square of its result and of that result's gradient.  weight, weight_gradient: of the
    parameters that it reads (nan: none).  blocked: the share of elements whose derivative is 0, flat: below 0.01 in
    size (both nan where it is no activation).  units: how many channels or neurons an activation has; seen: how many
    numbers of each there are, positions times examples; dead: the units that let nothing through in any of them.
    """

    name: str
    shape: tuple[int, ...]
    value: float
    gradient: float
    weight: float = math.nan
    weight_gradient: float = math.nan
    blocked: float = math.nan
    flat: float = math.nan
    units: int = 0
    dead: tuple[int, ...] = ()
    seen: int = 0


@dataclass(frozen=True, repr=False)
class GradientFlow(Measured):
    """The steps of a net in the order of the tape, ``steps``, each a ``Flow``; ``name`` is that of the output."""

    name: str
    steps: tuple[Flow, ...]

    def __getitem__(self, name: str) -> Flow:
        """The step of this name; KeyError with the names there are."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(f"gradient_flow: no step is called {name!r}; there are {', '.join(s.name for s in self.steps)}")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should look at: dead units, gradients that vanish, grow or are not finite, flat activations."""
        found = []
        for s in self.steps:
            if s.dead:
                some = ", ".join(map(str, s.dead[:LISTED])) + (", ..." if len(s.dead) > LISTED else "")
                only = "" if s.seen > 1 else "; there is one number of each, so ask with more examples"
                found.append(
                    f"{s.name}: {len(s.dead)} of {s.units} units are dead ({some}): nothing passes them back{only}"
                )
            elif s.flat > 0.9:
                found.append(
                    f"{s.name}: {s.flat:.0%} of it is flat (a derivative below {FLAT}); its inputs are too large"
                )
        strange = [s.name for s in self.steps if not math.isfinite(s.gradient)]
        if strange:
            found.append(f"the gradient is not finite at {', '.join(strange[:LISTED])}")
        none = [s.name for s in self.steps if s.gradient == 0]
        if none:
            found.append(f"no gradient arrives at {', '.join(none[:LISTED])}")
        layers = [s for s in self.steps if s.weight_gradient > 0 and math.isfinite(s.weight_gradient)]
        if len(layers) > 1:
            low, high = (pick(layers, key=lambda s: s.weight_gradient) for pick in (min, max))
            if high.weight_gradient > FAR * low.weight_gradient:
                times = high.weight_gradient / low.weight_gradient
                found.append(f"the weights of {low.name} get a gradient {times:,.0f} times smaller than {high.name}'s")
        return tuple(found)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [{**vars(s), "shape": "x".join(map(str, s.shape)), "dead": len(s.dead)} for s in self.steps]

    @property
    def text(self) -> str:
        head = ("step", "shape", "value", "gradient", "weights", "their gradient", "blocked", "dead")
        rows = [head]
        for s in self.steps:
            rows.append(
                (cut(s.name, 40), str(s.shape), _short(s.value), _short(s.gradient), _short(s.weight),
                 _short(s.weight_gradient), "" if math.isnan(s.blocked) else f"{s.blocked:.0%}",
                 f"{len(s.dead)} of {s.units}" if s.units else "")
            )  # fmt: skip
        title = f"gradient flow of {self.name} (root mean squares)"
        return "\n".join([title, *table(rows), *self.notes])

    @property
    def svg(self) -> Picture:
        title = f"Gradient flow of {cut(self.name, 40)}"
        names = [cut(s.name, 34) for s in self.steps]
        left = 28 + max((text_width(n, 11) for n in names), default=60.0)
        known = [g for s in self.steps for g in (s.gradient, s.weight_gradient) if g > 0 and math.isfinite(g)]
        low = math.floor(math.log10(min(known, default=0.1)))
        high = max(low + 1, math.ceil(math.log10(max(known, default=1.0))))
        step = max(1, -(-(high - low) // 6))
        high = low + step * -(-(high - low) // step)
        row, top = 22.0, 96.0
        bottom = top + row * len(self.steps)
        parts = [text(16, 26, title, size=14, font_weight="bold")]
        parts.append(text(16, 46, "root mean square of the gradient, on a scale of powers of ten", "soft", 11))
        for k, (look, words) in enumerate((("right", "of the result"), ("second", "of the weights (a ring)"))):
            x = 16.0 + 180 * k
            parts.append(rect(x, 56, 12, 12, look, rx="2") if not k else _ring(x + 6, 62))
            parts.append(text(x + 18, 66, words, "soft", 11))
        column = left + BAR + 24
        parts.append(text(column, 66, "what an activation lets through", "soft", 11))

        def at(x: float) -> float:
            return left + BAR * (math.log10(x) - low) / (high - low)

        for power in range(low, high + 1, step):
            x = at(10.0**power)
            parts.append(f'<line class="ac-grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6:.1f}" y2="{bottom:.1f}"/>')
            parts.append(text(x, top - 10, f"1e{power}", "soft", 10, "middle"))
        for i, (s, name) in enumerate(zip(self.steps, names, strict=True)):
            y = top + row * i
            told = [f"{s.name} {s.shape}", f"value {_short(s.value)}", f"gradient {_short(s.gradient)}"]
            inside = [text(left - 10, y + 14, name, "ink", 11, "end")]
            if s.gradient > 0 and math.isfinite(s.gradient):
                inside.append(rect(left, y + 4, max(1.5, at(s.gradient) - left), row - 9, "right", rx="2"))
            else:
                words = "no gradient" if s.gradient == 0 else "not finite"
                inside.append(text(left + 6, y + 14, words, "grad", 11))
            if s.weight_gradient > 0 and math.isfinite(s.weight_gradient):
                inside.append(_ring(at(s.weight_gradient), y + row / 2 - 0.5))
                told.append(f"weights {_short(s.weight)}, their gradient {_short(s.weight_gradient)}")
            if s.units:
                told.append(f"{s.blocked:.0%} blocked, {s.flat:.0%} flat, {len(s.dead)} of {s.units} units dead")
                inside += _passing(s, column, y, row)
            parts.append(f"<g>{tooltip(chr(10).join(told))}{''.join(inside)}</g>")
        y = bottom + 20
        for i, note in enumerate(self.notes):
            parts.append(text(16, y + 17 * i, note, "grad", 11))
        wide = max(column + 260, *(16 + text_width(note, 11) for note in self.notes), 16 + text_width(title, 14))
        return document(wide + 16, y + 17 * len(self.notes) + 2, title, parts)


def _passing(s: Flow, x: float, y: float, row: float) -> list[str]:
    """A bar of what passes an activation, and how many of its units are dead."""
    wide = 100.0
    parts = [rect(x, y + 4, wide, row - 9, "constant", rx="2")]
    if s.blocked < 1:
        parts.append(rect(x, y + 4, wide * (1 - s.blocked), row - 9, "output", rx="2"))
    words = f"{1 - s.blocked:.0%}" + (f", {len(s.dead)} of {s.units} dead" if s.dead else "")
    parts.append(text(x + wide + 8, y + 14, words, "grad" if s.dead else "soft", 11))
    return parts


def _ring(x: float, y: float) -> str:
    return f'<circle class="ac-second" fill="none" stroke-width="2.2" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'


def _short(x: float) -> str:
    return "" if math.isnan(x) else f"{x:.3g}"


def gradient_flow(loss: Tensor, *, names: Mapping[str, Any] | None = None, cotangent: Any = None) -> GradientFlow:
    """How large the gradient of ``loss`` is at each step of the net, and which units let none of it through.

    loss: a scalar Tensor (or any, with the ``cotangent`` to start from).  names: variables that name Tensors, as in
    ``names=locals()``.  Nothing is written: no ``.grad`` changes.

    A step's gradient is sqrt(mean((d loss / d y)^2)) over the elements of its result y; steps that only move elements
    (reshape, concat) have none of their own.  An activation is a step whose result has one element for each that it
    reads: f'(x) = 0 blocks an element, and a unit (a channel of a convolution, a neuron) is dead where f' is 0 at every
    position of every example.

    Raises TypeError if nothing can be differentiated, ValueError for a loss of several elements without a cotangent.

    >>> x = ac.tensor([[1.0, 2.0], [2.0, 3.0]], name="x")
    >>> w, b = ac.tensor([[1.0, 1.0], [0.5, 1.0]], name="w"), ac.tensor([0.0, -9.0], name="b")
    >>> flow = ac.gradient_flow(ac.sum(ac.relu(x @ w + b)))
    >>> flow["relu"].dead, flow["relu"].blocked, flow.notes[0]
    ((1,), 0.5, 'relu: 1 of 2 units are dead (1): nothing passes them back')
    """
    seed = loss_of("gradient_flow", loss, cotangent)
    tape = Tape(loss)
    named = line_names(tape, variables(names, "gradient_flow", tape))
    with np.errstate(all="ignore"):  # what is not finite is told
        cotangents = {id(step.line): np.asarray(step.cotangent) for step in steps(loss, None, np.asarray(seed))}
    units = unit_axes(tape)
    found, taken = [], set[str]()
    for group in grouped(tape):
        last = group[-1]
        computed = [line for line in group if line.primitive is not None and line.primitive.group != "wiring"]
        if not computed or id(last) not in cotangents:
            continue
        own = {id(line) for line in group}
        read = {id(x): x for line in group for x in line.operands if id(x) not in own}
        weights = [x for x in map(moved, read.values()) if is_parameter(x)]
        name = base = named[id(last)] if not named[id(last)].startswith("%") else _called(last)
        count = 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        found.append(
            Flow(
                name,
                last.shape,
                _size([last.value]),
                _size([cotangents[id(last)]]),
                _size([w.value for w in weights]),
                _size([cotangents[id(w)] for w in weights if id(w) in cotangents]),
                *_activation(group, last, list(read.values()), units),
            )
        )
    return GradientFlow(named[id(loss)] if not named[id(loss)].startswith("%") else _called(loss), tuple(found))


def _called(line: Tensor) -> str:
    """The name of what made a line without one: its call in the layer, else its row."""
    scope = _step_of(line)
    where = ".".join(layer_path(line.scope))
    what = scope.name if scope is not None else line.primitive.name if line.primitive else "input"
    return f"{where}.{what}" if where and scope is not None and scope.kind != "layer" else what


def _step_of(line: Tensor) -> Scope | None:
    """The call in the innermost layer that a line belongs to, or the layer."""
    path = line.scope.path if line.scope else ()
    depth = max((k for k, s in enumerate(path) if s.kind == "layer"), default=-1)
    inner = path[depth + 1 :]
    return inner[0] if inner else None


def grouped(tape: Tape) -> list[list[Tensor]]:
    """The lines of each step, in the order of their last lines; what a layer adds or scales by itself (a bias) belongs
    to its step before."""
    made: dict[int, list[Tensor]] = {}
    home: dict[int, int] = {}
    for line in tape:
        if line.primitive is not None and serves(line) is None:
            scope = _step_of(line)
            key = id(scope) if scope is not None else id(line)
            if scope is None and layer_path(line.scope) and not line.primitive.bends:
                steps_read = {
                    home[id(x)]
                    for x in line.operands
                    if id(x) in home and not x.constant and moved(x).primitive is not None
                }
                before = next(iter(steps_read)) if len(steps_read) == 1 else None
                if before is not None and made[before][-1].scope is not None:
                    same = [s for s in made[before][-1].scope.path if s.kind == "layer"]  # type: ignore[union-attr]
                    if same == [s for s in line.scope.path if s.kind == "layer"]:  # type: ignore[union-attr]
                        key = before
            home[id(line)] = key
            group = made.pop(key, [])
            made[key] = group  # entered again: in the order of last lines
            group.append(line)
    return list(made.values())


def _size(arrays: list[np.ndarray]) -> float:
    """The root mean square of all elements; nan without any."""
    count = sum(a.size for a in arrays)
    if not count:
        return math.nan
    with np.errstate(over="ignore", invalid="ignore"):
        most = max(float(np.abs(np.asarray(a, dtype=float)).max(initial=0.0)) for a in arrays)
        if not most or not math.isfinite(most):
            return most
        return most * math.sqrt(sum(float(np.square(np.asarray(a, dtype=float) / most).sum()) for a in arrays) / count)


def _activation(
    group: list[Tensor], last: Tensor, read: list[Tensor], units: Mapping[int, tuple[int, ...]]
) -> tuple[float, float, int, tuple[int, ...], int]:
    """(blocked, flat, units, dead, seen) of a step that is an activation; nan and 0 of others."""
    nothing = (math.nan, math.nan, 0, (), 0)
    varying = [x for x in read if not x.constant and not is_parameter(moved(x))]
    if len(varying) != 1 or varying[0].shape != last.shape or not last.ndim or not last.size:
        return nothing
    (x,) = varying
    leads = {id(x)}
    for line in group:
        if any(id(k) in leads for k in line.operands):
            leads.add(id(line))
            if line.primitive is None or not (line.primitive.elementwise or line.primitive is TABLE["cast"]):
                return nothing
    bends = [line for line in group if id(line) in leads and line.primitive is not None and line.primitive.bends]
    if not bends or all(_linear_in(line, leads) for line in bends):
        return nothing
    with np.errstate(all="ignore"):
        (slopes,) = sweep(last, [x], np.ones(last.shape, last.dtype))
    sizes = np.abs(np.asarray(slopes, dtype=float))
    axes = units.get(id(x)) or units.get(id(last)) or (last.ndim - 1,)
    others = tuple(a for a in range(last.ndim) if a not in axes)
    alive = (sizes != 0).any(axis=others).ravel() if others else (sizes != 0).ravel()
    dead = tuple(np.flatnonzero(~alive).tolist())
    return float(np.mean(sizes == 0)), float(np.mean(sizes < FLAT)), int(alive.size), dead, sizes.size // alive.size


def _linear_in(line: Tensor, leads: set[int]) -> bool:
    """Whether a line is linear in what varies of its operands: a product with a constant, say."""
    varying = [k for k, x in enumerate(line.operands) if id(x) in leads]
    return line.primitive is not None and len(varying) == 1 and varying[0] in line.primitive.linear


def unit_axes(tape: Tape) -> dict[int, tuple[int, ...]]:
    """id(line) -> the axes that count units, channels or neurons: those that a contraction with weights gives, as far
    as they can be followed."""
    found: dict[int, tuple[int, ...]] = {}
    for line in tape:
        if line.primitive is None:
            continue
        if line.primitive is CONTRACT:
            letters, result = line.params["spec"].split("->")
            leaves = [moved(x) for x in line.operands]
            weights = [k for k, x in enumerate(leaves) if is_parameter(x)] or [
                k for k, x in enumerate(leaves) if k == 1 and x.primitive is None
            ]
            if weights:
                own = letters.split(",")[weights[0]]
                axes = tuple(a for a, c in enumerate(result) if c in own)
                if axes:
                    found[id(line)] = axes
            continue
        source = next((x for x in line.operands if id(x) in found), None)
        if source is None:
            continue
        known = found[id(source)]
        if line.primitive is TABLE["permute_dims"]:
            places = line.params["axes"]
            found[id(line)] = tuple(sorted(places.index(a) for a in known if a in places))
        elif line.primitive is TABLE["reshape"]:
            followed = _reshaped(source.shape, line.shape, known)
            if followed:
                found[id(line)] = followed
        elif line.ndim == source.ndim and all(line.shape[a] == source.shape[a] for a in known):
            found[id(line)] = known
        elif line.ndim > source.ndim and line.shape[: source.ndim][: max(known)] and line.primitive.moves:
            if all(line.shape[a] == source.shape[a] for a in known):
                found[id(line)] = known
            elif all(line.shape[a - source.ndim] == source.shape[a] for a in known):
                found[id(line)] = tuple(a - source.ndim + line.ndim for a in known)
        elif 0 < line.ndim < source.ndim and line.primitive.group == "sum":
            gone = {a % source.ndim for a in line.params.get("axis", ())}
            if not gone & set(known):
                found[id(line)] = tuple(a - sum(g < a for g in gone) for a in known)
    return found


def _reshaped(old: tuple[int, ...], new: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Where neighbouring axes are after a reshape that keeps their elements together; () where it does not."""
    first, last = min(axes), max(axes)
    before, size = prod(old[:first]), prod(old[first : last + 1])
    for a in range(len(new)):
        if prod(new[:a]) == before:
            for b in range(a + 1, len(new) + 1):
                if prod(new[a:b]) == size and (size > 1 or b - a == last - first + 1):
                    return tuple(range(a, b))
    return ()
