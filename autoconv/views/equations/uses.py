"""``ac.uses``: how often each element of a tensor is read, as a grid: what ``overlap_add`` (col2im) makes of ones.

Windows read the middle of an image more often than its border.  The adjoint of reading is adding up, so on frames of
ones it counts the readers; an inverse would have to divide by that count, which is why the adjoint is not the inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, overload

import numpy as np

from ...functional.axes import POSITION, WINDOW
from ...primitives import TABLE
from ...render.element import element_name
from ...render.notebook import bundle
from ...render.text import clean
from ...render.theme import anywhere
from ...scalar import KINDS, Scalar, ScalarLines, expand
from ...scalar.demand import ScalarGraph
from ...tape import Tape, Tensor, describe
from ..element import asked, one_line, resolve
from ..lines import variables

WINDOWS = TABLE["windows"]
LARGEST = 64  # rows and columns that are written out


@dataclass(frozen=True)
class Uses:
    """``counts``: how often each element is read, in the tensor's shape; ``operations``: by how many scalar operations.

    An element that a window reads for 16 kernels counts once in ``counts`` and 16 times in ``operations``.  ``axes``:
    those along which windows move (none: not known).
    """

    name: str
    counts: np.ndarray
    operations: np.ndarray
    framed: bool
    axes: tuple[int, ...] = ()

    @property
    def note(self) -> str:
        """What the counts say about windows and their adjoint."""
        if not self.framed:
            return "Each element's gradient is the sum over all places where it is read."
        read = np.unique(self.counts)
        span = f"{read[0]} to {read[-1]} times" if len(read) > 1 else f"{read[0]} times each"
        never = int(np.count_nonzero(self.counts == 0))
        return (
            f"The windows read the elements {span}"
            + (f" ({never:,} never)" if never else "")
            + ". This grid is overlap_add (col2im) of ones: the adjoint of windows adds up what every window "
            "holds. It is not the "
            "inverse: overlap_add(windows(x)) is x times this grid; to get x back, divide by it (where it is not 0)."
        )

    @property
    def planes(self) -> list[tuple[str, np.ndarray]]:
        """The counts as grids with their captions; equal channels and images are shown once."""
        counts = self.counts
        if counts.ndim <= 2:
            return [("", np.atleast_2d(counts))]
        axes = self.axes[-2:] or ((1, 2) if counts.ndim == 4 else (0, 1))  # without windows, as images have them
        rows = counts.shape[axes[0]] if len(axes) == 2 else 1
        ends = tuple(range(-len(axes), 0))
        moved = np.moveaxis(counts, axes, ends).reshape(-1, rows, counts.shape[axes[-1]])
        same = (moved == moved[:1]).all()
        if same:
            return (
                [(f"the same in all {len(moved)} channels" if len(moved) > 1 else "", moved[0])] if len(moved) else []
            )
        return [(f"plane {k}", plane) for k, plane in enumerate(moved[:4])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.counts, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        lines = [f"uses of {self.name}, shape {self.counts.shape}:"]
        for caption, plane in self.planes:
            lines += [f"({caption})"] * bool(caption)
            width = len(str(plane.max(initial=0)))
            lines += [" ".join(f"{n:>{width}}" for n in row[:LARGEST]) for row in plane[:LARGEST].tolist()]
        return "\n".join([*lines, self.note])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return bundle(repr(self), html=self.html)

    @property
    def html(self) -> str:
        """The counts as tables."""
        most = max(1, int(self.counts.max(initial=0)))
        parts = [f"<p>uses of <code>{escape(clean(self.name))}</code>, shape {self.counts.shape}</p>"]
        for caption, plane in self.planes:
            rows = "".join(
                "<tr>" + "".join(_cell(n, most) for n in row[:LARGEST]) + "</tr>" for row in plane[:LARGEST].tolist()
            )
            head = f"<caption>{escape(caption)}</caption>" if caption else ""
            parts.append(f'<table style="border-collapse:collapse">{head}{rows}</table>')
        return "".join(parts) + f"<p>{escape(self.note)}</p>"


def _cell(count: int, most: int) -> str:
    share = round(8 + 52 * count / most)
    style = (
        f"background:color-mix(in srgb,{anywhere('plus')} {share}%,transparent);text-align:center;min-width:1.9em;"
        "border:1px solid color-mix(in srgb,currentColor 25%,transparent)"
    )
    return f'<td style="{style}">{count}</td>' if count else f'<td style="{style};background:none">0</td>'


@overload
def uses(of: Tensor | Scalar, x: Tensor | Scalar, /, names: Mapping[str, Any] | None = None) -> Uses: ...
@overload
def uses(x: Tensor | Scalar, /, *, of: Tensor | Scalar, names: Mapping[str, Any] | None = None) -> Uses: ...
@overload
def uses(*, x: Tensor | Scalar, of: Tensor | Scalar, names: Mapping[str, Any] | None = None) -> Uses: ...
def uses(
    y: Any = None, x: Any = None, names: Mapping[str, Any] | None = None, *, of: Tensor | Scalar | None = None
) -> Uses:
    """How often each element of ``x`` is read on the way to ``y`` (a loss, or a layer's output).

        count[i] = how many windows hold x[i] = overlap_add(ones of the shape of windows(x))[i]

    Called as ``uses(y, x)``, or as ``uses(x, of=y)``.  For windows (convolution, pooling) it is the number of windows
    that hold the element; for a weight that is shared, the number of positions; for a Scalar, the operations
    that read it.  names: variables that name tensors without a name, as locals().  Raises TypeError for what is no
    Tensor, ValueError for an x that ``y`` does not read.

    >>> x, w = ac.tensor(np.ones((3, 3)), name="x"), ac.tensor(np.ones((2, 2)), name="w")
    >>> ac.uses(ac.conv2d(x, w), x).counts
    array([[1, 2, 1],
           [2, 4, 2],
           [1, 2, 1]])
    """
    x, output = asked("uses", y, x, of)
    if isinstance(x, KINDS) or isinstance(output, KINDS):
        return _of_scalar(output, x, names)
    for what, given in (("x", x), ("of", output)):
        if not isinstance(given, Tensor):
            raise TypeError(f"uses: {what} must be a Tensor, found {type(given).__name__}; as in ac.uses(loss, x)")
    tape = Tape(output)
    named = variables(names, "uses", tape)
    try:
        line, elements = resolve(x, tape)
    except ValueError:
        raise ValueError(
            f"uses: {describe(output)} was not computed from {describe(x)}; give a tensor that it reads"
        ) from None
    on_tape, root = line is x, named.get(id(line))
    if line.primitive is not None and line.primitive.group == "wiring":
        line, tape = _cut(tape, line)
    graph = ScalarGraph(tape)
    own = graph.names(line, elements)
    if (own == 0).any():
        raise ValueError(f"uses: {describe(x)} holds padding; ask for the tensor that was padded")
    framed = _framed(tape, line)
    operations, counts = [n.reshape(x.shape) for n in graph.uses(own, framed)]
    label = x.name or named.get(id(x)) or "x"
    if not on_tape and elements.size == 1:
        known = line.name or root or "x"
        label = element_name(known, [int(k) for k in np.unravel_index(int(elements[0]), line.shape)], line.shape)
    axes = _window_axes(tape, line) if x.ndim == line.ndim else ()
    return Uses(label, counts if framed else operations, operations, bool(framed), axes)


def _of_scalar(y: Any, x: Any, names: Mapping[str, Any] | None) -> Uses:
    """How many operations read a Scalar."""
    graph = ScalarLines(expand(y)) if isinstance(y, KINDS) else None
    tape = graph.tape if graph else Tape(y)
    line = one_line(x, tape, "uses")
    assert graph is not None  # else there was no such line
    count = np.array(len(np.unique(graph.flat.readers(graph.scalar(line)))))
    named = variables(names, "uses", tape)
    return Uses(line.name or named.get(id(line)) or f"%{graph.places[id(line)]}", count, count, False)


def _cut(tape: Tape, x: Tensor) -> tuple[Tensor, Tape]:
    """x as an input, and the tape above it: how often windows are read says nothing of the image that they show."""
    leaf = Tensor(x.value, name=x.name, constant=x.constant)
    again = {id(x): leaf}
    for line in tape:
        if id(line) not in again and any(id(o) in again for o in line.operands):
            operands = tuple(again.get(id(o), o) for o in line.operands)
            again[id(line)] = Tensor(
                line.value, line.primitive, operands, line.params, line.scope, line.name, constant=line.constant
            )
    return leaf, Tape(*[again.get(id(y), y) for y in tape.outputs])


def _window_axes(tape: Tape, x: Tensor) -> tuple[int, ...]:
    """The axes of x along which the first windows that read it move, or that are those of a kernel; () for none."""
    known: dict[int, list[int]] = {id(x): list(range(x.ndim))}  # of lines that move x: the axis of x that each axis is
    for line in tape:
        k = next((k for k, o in enumerate(line.operands) if id(o) in known), None)
        if line.primitive is None or k is None:
            continue
        own, before = known[id(line.operands[k])], line.operands[k].shape
        if line.primitive is WINDOWS:
            found = tuple(own[a] for a in line.params["axes"])
            return found if min(found) >= 0 else ()
        if (
            line.primitive is TABLE["contract"]
            and line.scope
            and any(s.name.startswith("conv") for s in line.scope.path)
        ):
            letters = line.params["spec"].split("->")[0].split(",")[k]
            for kind in (WINDOW, POSITION):  # a kernel has the window's axes, an image that is spread out the positions
                if found := tuple(own[a] for a, c in enumerate(letters) if c in kind):
                    return found if min(found) >= 0 else ()
        elif line.primitive is TABLE["permute_dims"]:
            known[id(line)] = [own[a] for a in line.params["axes"]]
        elif line.primitive is TABLE["reshape"]:
            kept = [a for a, n in zip(own, before, strict=True) if n != 1]
            if [n for n in before if n != 1] == [n for n in line.shape if n != 1]:
                known[id(line)] = [kept.pop(0) if n != 1 else -1 for n in line.shape]
        elif line.primitive.group == "wiring" and line.ndim == len(own):
            known[id(line)] = own
    return ()


def _framed(tape: Tape, x: Tensor) -> set[int]:
    """The lines that are x seen through windows, and wiring alone."""
    moved, framed = {id(x)}, set[int]()
    for line in tape:
        reads = {id(y) for y in line.operands}
        if line.primitive is not None and line.primitive.group == "wiring" and reads & (moved | framed):
            (framed if line.primitive is WINDOWS or reads & framed else moved).add(id(line))
    return framed
