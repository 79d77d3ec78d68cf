"""``ac.memory``: what the backward pass keeps in memory, until when, and what it would cost to compute it again.

The sweep is recorded, as a view of it is, so its lines say themselves which arrays of the forward pass they read: no
list of operations says it.  Then forward and sweep are gone through in order.  An array is there from the line that
makes it to the last line that reads it; a view of another array takes no memory of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from ...backward import sweep
from ...render.picture import Picture, document
from ...render.svg import coordinate, rect, text, text_width, tooltip
from ...render.text import cut
from ...scalar.expand import CONTRACT
from ...tape import Tape, Tensor, tensor
from ..layers import line_names
from ..lines import serves, variables
from .gradient_flow import _called
from .measured import Measured, loss_of, table

LISTED = 30  # arrays that are told or drawn
RUNS = 2  # of a line, the faster of which is its time
WIDTH = 520.0


@dataclass(frozen=True)
class Kept:
    """An array of the forward pass that the backward pass needs.

    name: of the line that made it; place: that line's place on the tape.  bytes: its memory.  born, freed: the steps
    between which it is there (lines of forward and sweep in order).  readers: the forward lines whose rules read it in
    the sweep.  seconds, operations: what computing it again costs, from what is kept anyway; ``again``: the
    lines that are computed for that, its own among them.  at_peak: whether it is there when memory is at its largest.
    """

    name: str
    place: int
    shape: tuple[int, ...]
    bytes: int
    born: int
    freed: int
    readers: tuple[str, ...]
    seconds: float
    operations: int
    again: tuple[str, ...]
    at_peak: bool


@dataclass(frozen=True)
class Spent:
    """One line: the seconds of its forward, of its rules in the sweep, and its scalar operations forward."""

    name: str
    place: int
    forward: float
    backward: float
    operations: int


@dataclass(frozen=True, repr=False)
class Memory(Measured):
    """The memory of a forward and a backward pass.

    live: the bytes there are after each step, forward lines and then lines of the sweep, without the inputs (``inputs``
    bytes, parameters among them, which are always there).  forward_steps: how many of the steps are forward.  kept: the
    arrays that the sweep needs, the largest first.  time: each forward line with its seconds.  eager: the bytes
    of all results of the forward pass, which a tape holds as long as its output is held.
    """

    name: str
    inputs: int
    eager: int
    live: tuple[int, ...]
    forward_steps: int
    steps: tuple[str, ...]
    kept: tuple[Kept, ...]
    time: tuple[Spent, ...]

    @property
    def peak(self) -> int:
        """The most bytes that are there at once, the inputs apart."""
        return max(self.live, default=0)

    @property
    def peak_step(self) -> int:
        """The step at which that is."""
        return self.live.index(self.peak) if self.live else 0

    @property
    def held(self) -> int:
        """The bytes that the sweep keeps of the forward pass."""
        return sum(k.bytes for k in self.kept)

    @property
    def recompute(self) -> tuple[Kept, ...]:
        """What to compute again instead of keeping it: arrays that are there at the peak, those first that free the
        most bytes for a second of computing."""
        useful = [k for k in self.kept if k.at_peak and k.bytes]
        return tuple(sorted(useful, key=lambda k: (-k.bytes / (k.seconds + 1e-6), -k.bytes, k.place)))

    @property
    def records(self) -> list[dict[str, Any]]:
        return [
            {
                **vars(k),
                "shape": "x".join(map(str, k.shape)),
                "readers": " ".join(k.readers),
                "again": " ".join(k.again),
            }
            for k in self.kept
        ]

    @property
    def text(self) -> str:
        forward, backward = (sum(s.forward for s in self.time), sum(s.backward for s in self.time))
        rows = [
            f"memory of {self.name}: the peak is {size(self.peak)} at {self.steps[self.peak_step]}, beside "
            f"{size(self.inputs)} of inputs and parameters",
            f"the backward pass keeps {size(self.held)} of {size(self.eager)} that the forward pass makes; "
            f"forward {seconds(forward)}, backward {seconds(backward)}",
        ]
        head = ("kept", "shape", "bytes", "read by the backward of", "again")
        told = [
            (cut(k.name, 34), str(k.shape), size(k.bytes), cut(", ".join(k.readers), 44), seconds(k.seconds))
            for k in self.kept[:LISTED]
        ]
        rows += table([head, *told])
        if len(self.kept) > LISTED:
            rows.append(f"... and {len(self.kept) - LISTED} smaller ones")
        best = self.recompute[:3]
        if best:
            rows.append(
                "compute again rather than keep: "
                + "; ".join(f"{k.name} ({size(k.bytes)} for {seconds(k.seconds)})" for k in best)
            )
        slow = sorted(self.time, key=lambda s: -s.forward - s.backward)[:3]
        if slow:
            rows.append(
                "most time: " + "; ".join(f"{s.name} ({seconds(s.forward)} + {seconds(s.backward)})" for s in slow)
            )
        return "\n".join(rows)

    @property
    def svg(self) -> Picture:
        shown = sorted(self.kept[:LISTED], key=lambda k: (k.born, k.place))
        left = 28 + max([text_width(cut(k.name, 30), 11) for k in shown] or [60.0])
        title = f"Memory of {cut(self.name, 40)}, forward and backward"
        count, most = max(1, len(self.live)), max(1, self.peak)
        top, high, row = 76.0, 150.0, 17.0
        bottom = top + high

        def x(step: float) -> float:
            return left + WIDTH * step / count

        parts = [text(16, 26, title, size=14, font_weight="bold")]
        where = cut(self.steps[self.peak_step], 40) if self.steps else ""
        parts.append(
            text(16, 46, f"peak {size(self.peak)} at {where}; {size(self.held)} kept for the backward", "soft", 11)
        )
        points = [f"{coordinate(x(0))},{coordinate(bottom)}"]
        for i, there in enumerate(self.live):
            y = bottom - high * there / most
            points += [f"{coordinate(x(i))},{coordinate(y)}", f"{coordinate(x(i + 1))},{coordinate(y)}"]
        points.append(f"{coordinate(x(count))},{coordinate(bottom)}")
        parts.append(f'<polygon class="ac-right" fill-opacity="0.35" points="{" ".join(points)}"/>')
        end = bottom + 34 + row * len(shown)
        middle = x(self.forward_steps)
        parts.append(f'<line class="ac-axis" x1="{middle:.1f}" x2="{middle:.1f}" y1="{top - 16:.1f}" y2="{end:.1f}"/>')
        parts.append(text(middle - 6, top - 8, "forward", "soft", 11, "end"))
        parts.append(text(middle + 6, top - 8, "backward", "soft", 11))
        peak = x(self.peak_step + 0.5)
        parts.append(
            f'<line class="ac-second" stroke-dasharray="4 3" x1="{peak:.1f}" x2="{peak:.1f}" y1="{top:.1f}" '
            f'y2="{end:.1f}"/>'
        )
        for share in (0.0, 0.5, 1.0):
            parts.append(text(left - 8, bottom - high * share + 4, size(int(most * share)), "soft", 10, "end"))
        parts.append(text(16, bottom + 24, "kept arrays, from birth to the last reader", "soft", 11))
        best = {k.place for k in self.recompute[:3]}
        for i, k in enumerate(shown):
            y = bottom + 34 + row * i
            told = [f"{k.name} {k.shape}, {size(k.bytes)}", f"read by the backward of {', '.join(k.readers)}"]
            told.append(f"again: {seconds(k.seconds)}, {k.operations:,} operations")
            bar = rect(
                x(k.born),
                y + 3,
                max(2.0, x(k.freed + 1) - x(k.born)),
                row - 6,
                "call" if k.place in best else "input",
                rx="2",
            )
            words = f"{size(k.bytes)}" + (f", again {seconds(k.seconds)}" if k.place in best else "")
            parts.append(
                f"<g>{tooltip(chr(10).join(told))}{text(left - 8, y + 13, cut(k.name, 30), 'ink', 11, 'end')}{bar}"
                f"{text(left + WIDTH + 10, y + 13, words, 'soft', 11)}</g>"
            )
        y = end + 22
        parts.append(rect(16, y - 10, 12, 12, "call", rx="2"))
        parts.append(text(34, y, "cheapest to compute again for what it frees at the peak", "soft", 11))
        width = max(left + WIDTH + 190, 32 + text_width(title, 14))
        return document(width, y + 16, title, parts)


def size(count: float) -> str:
    """Bytes with a unit: "1.5 MB"."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def seconds(t: float) -> str:
    """A time with a unit: "1.2 ms"."""
    return f"{t * 1e6:.0f} µs" if t < 1e-3 else f"{t * 1e3:.1f} ms" if t < 1 else f"{t:.2f} s"


def memory(loss: Tensor, *, names: Mapping[str, Any] | None = None) -> Memory:
    """What memory and time a forward and a backward pass of ``loss`` take, line by line.

    loss: a scalar Tensor.  names: variables that name Tensors, as in ``names=locals()``.  The sweep is recorded once
    and the lines are run again for their times, so this takes about three times as long as a step of training.

    An array a that line i makes is there from step i to the last step that reads it, t(a): of the forward pass, or of
    the sweep.  live(s) = the sum of bytes(a) over i <= s <= t(a), and the peak is its maximum; gradients of the
    inputs are among what the sweep makes and stay to its end.  This is what a program needs that frees what it does
    not read any more; a tape itself holds all its results (``eager`` bytes).  What a line needs only while it runs (the
    copied windows of a convolution) does not count.

    Raises TypeError for what cannot be differentiated, ValueError for a loss of several elements.

    >>> x, w = ac.tensor(np.ones((4, 8)), name="x"), ac.tensor(np.ones((8, 2)), name="w")
    >>> h = ac.exp(x @ w)
    >>> found = ac.memory(ac.sum(h * h), names={"h": h})
    >>> [(k.name, k.bytes) for k in found.kept]  # the rule of exp reads its result, and so does that of the product
    [('h', 64)]
    """
    loss_of("memory", loss)
    tape = Tape(loss)
    seed = tensor(np.ones(loss.shape), dtype=loss.dtype)
    pulled: list[Tensor] = Context().run(sweep, loss, tape.inputs, seed)
    known = [g for g in pulled if g is seed or g.primitive is not None]
    whole = list(Tape(loss, *{id(g): g for g in known}.values()))
    forward = [line for line in tape if line.primitive is not None]
    first = {id(line) for line in tape}
    later = [line for line in whole if id(line) not in first and line.primitive is not None]
    order = [*forward, *later]
    step = {id(line): i for i, line in enumerate(order)}
    named = line_names(tape, variables(names, "memory", tape))
    called = {id(x): _name(x, named) for x in tape}
    owner = _owners(order)

    results = {id(loss), *(id(g) for g in known)}
    last = {id(line): i for i, line in enumerate(order)}  # when an array is read for the last time, itself or a view
    readers: dict[int, dict[str, None]] = {}
    for i, line in enumerate(order):
        for x in line.operands:
            own = owner.get(id(x), id(x))
            if own in last:  # an input's own array, and a view of it, is always there
                last[own] = max(last[own], i)
                if i >= len(forward) and own in first:
                    served = serves(line)
                    readers.setdefault(own, {})[called.get(id(served), "?") if served is not None else "?"] = None
    for key in results:
        if owner.get(key) in last:
            last[owner[key]] = len(order) - 1
    sizes = {id(line): line.value.nbytes if owner[id(line)] == id(line) else 0 for line in order}
    change = [0] * (len(order) + 1)
    for line in order:
        change[step[id(line)]] += sizes[id(line)]
        change[last[id(line)] + 1] -= sizes[id(line)]
    live = tuple(np.cumsum(change[:-1]).tolist())
    peak = int(np.argmax(live)) if live else 0

    spent = {id(line): _timed(line) for line in order}
    served_time: dict[int, float] = {}
    for line in later:
        served = serves(line)
        if served is not None:
            served_time[id(served)] = served_time.get(id(served), 0.0) + spent[id(line)]
    place = {id(line): i for i, line in enumerate(tape)}
    kept_lines = [
        line for line in forward if sizes[id(line)] and last[id(line)] >= len(forward) and id(line) in readers
    ]
    there = {id(line) for line in kept_lines} | {id(x) for x in tape if x.primitive is None}
    kept = []
    for line in kept_lines:
        again = _again(line, there, owner)
        kept.append(
            Kept(
                called[id(line)], place[id(line)], line.shape, sizes[id(line)], step[id(line)], last[id(line)],
                tuple(readers[id(line)]), sum(spent[id(x)] for x in again), sum(map(operations, again)),
                tuple(called[id(x)] for x in again), step[id(line)] <= peak <= last[id(line)],
            )
        )  # fmt: skip
    kept.sort(key=lambda k: (-k.bytes, k.place))
    made = sum(sizes[id(line)] for line in forward)
    words = tuple(called[id(x)] if id(x) in called else f"the backward of {_served(x, called)}" for x in order)
    times = tuple(
        Spent(called[id(x)], place[id(x)], spent[id(x)], served_time.get(id(x), 0.0), operations(x)) for x in forward
    )
    inputs = sum(x.value.nbytes for x in tape if x.primitive is None)
    return Memory(called[id(loss)], inputs, made, live, len(forward), words, tuple(kept), times)


def _name(line: Tensor, named: Mapping[int, str]) -> str:
    """A name that tells what a line is where it has none of its own: its call and its place, "softmax %12"."""
    own = named[id(line)]
    return f"{_called(line)} {own}" if own.startswith("%") and line.primitive is not None else own


def _served(line: Tensor, called: Mapping[int, str]) -> str:
    served = serves(line)
    return called.get(id(served), "the output") if served is not None else "the output"


def _owners(order: list[Tensor]) -> dict[int, int]:
    """id(line) -> id of the line whose memory its array lies in, itself where it has its own."""
    owner: dict[int, int] = {}
    for line in order:
        owner[id(line)] = id(line)
        if line.primitive is not None and line.primitive.view and line.size:
            for x in line.operands[:1]:
                if np.may_share_memory(line.value, x.value):
                    owner[id(line)] = owner.get(id(x), id(x))
    return owner


def _timed(line: Tensor) -> float:
    """The seconds of a line's forward on its own operands."""
    primitive: Any = line.primitive
    values = [x.value for x in line.operands]
    best = float("inf")
    for _ in range(RUNS):
        start = perf_counter()
        primitive.forward(*values, **line.params)
        best = min(best, perf_counter() - start)
    return best


def operations(line: Tensor) -> int:
    """The scalar operations of a line: products and sums of a contraction, one for each element, none of wiring."""
    if line.primitive is CONTRACT:
        letters, result = line.params["spec"].split("->")
        sides: dict[str, int] = {}
        for own, x in zip(letters.split(","), line.operands, strict=True):
            sides |= dict(zip(own, x.shape, strict=True))
        return 2 * prod(sides.values()) - prod(sides[c] for c in result)
    if line.primitive is None or line.primitive.group == "wiring":
        return 0
    return line.operands[0].size if line.primitive.group == "sum" else line.size


def _again(line: Tensor, there: set[int], owner: Mapping[int, int]) -> list[Tensor]:
    """The lines to run to have ``line`` again, from inputs and other arrays that are kept; in order."""
    found, waiting = {id(line): line}, [line]
    while waiting:
        for x in waiting.pop().operands:
            if x.primitive is not None and id(x) not in found and owner.get(id(x), id(x)) not in there:
                found[id(x)] = x
                waiting.append(x)
            elif x.primitive is not None and id(x) not in there:
                found[id(x)] = x  # a view of what is kept
    return sorted(found.values(), key=lambda x: x.serial)
