"""The geometry of convolution and pooling lines, for pictures of windows sliding over grids.

Nothing is guessed from shapes: the names (places) of the input's elements are run through the recorded lines (reshape,
pad, take, flip) up to ``windows`` and ``contract``, and where they arrive is the geometry: padding, clamped cells,
groups, layouts and flipped kernels all come out of it.  Every geometry is told in three spatial dimensions, the missing
ones of size 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tape import Scope, Tape, Tensor

_CALLS = re.compile(r"(conv|max_pool|avg_pool|lp_pool)[123]d$")
Axis = tuple[int, int]  # (size, step): step is the distance of neighbours in the flattened tensor


@dataclass(frozen=True)
class WindowGeometry:
    """One convolution or pooling: y[n, p, g, o] reads x[n, cells(p, u), g, c] (and w[u, c, g, o]).

    ``cells[d][q]`` is the input coordinate at padded coordinate q along dimension d, -1 in the zero padding; window
    number p reads q = p * stride + u * dilation.  A flat index is base + sum of index * step over the axes.  In
    pooling, channels are ``c`` alone.
    """

    kind: str
    lines: tuple[Tensor, ...]
    input: Tensor
    kernel: Tensor | None
    output: Tensor
    window: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    cells: tuple[tuple[int, ...], ...]
    read: dict[str, Any]
    weight: dict[str, Any]
    made: dict[str, Any]
    winners: np.ndarray | None = None
    counts: np.ndarray | None = None

    @property
    def outputs(self) -> tuple[int, ...]:
        """Windows along each dimension."""
        return tuple(size for size, _ in self.made["space"])

    def place(self, **index: Any) -> int:
        """The flat index in the input of the cell that window ``at`` reads at tap ``tap`` (image n, group g, channel
        c); -1: padding.
        """
        flat = 0
        for d, (p, u) in enumerate(zip(index["at"], index["tap"], strict=True)):
            coordinate = self.cells[d][p * self.stride[d] + u * self.dilation[d]]
            if coordinate < 0:
                return -1
            flat += coordinate * self.read["space"][d][1]
        return int(flat + sum(index.get(axis, 0) * self.read[axis][1] for axis in "ngc"))


def geometries(tape: Tape) -> list[WindowGeometry]:
    """One for every convolution or pooling call on the tape, in order."""
    found: list[WindowGeometry] = []
    for line in tape:
        call = _call(line.scope)
        if call is not None and line.primitive is not None and line.primitive.name == "windows":
            inside = tuple(x for x in tape if x.scope is not None and any(s is call for s in x.scope.path))
            made = _geometry(call, line, inside, {id(x) for x in inside})
            if made is not None:
                found.append(made)
    return found


def _call(scope: Scope | None) -> Scope | None:
    """The convolution or pooling around a line, if the sweep has not recorded it."""
    path = scope.path if scope else ()
    if any(s.kind == "backward" for s in path):
        return None
    return next((s for s in reversed(path) if s.kind == "call" and _CALLS.match(s.name)), None)


def _geometry(call: Scope, windows: Tensor, inside: tuple[Tensor, ...], members: set[int]) -> WindowGeometry | None:
    axes, dims = windows.params["axes"], len(windows.params["axes"])
    chain = list(_down(windows.operands[0], members))
    source, padded = chain[-1], _names(chain)
    first = axes[0]
    shape = windows.shape
    counts = shape[first : first + dims]
    kind = _CALLS.match(call.name)[1]  # type: ignore[index]

    start = tuple(int(i) for i in np.unravel_index(int(np.argmax(padded > 0)), padded.shape))
    cells: list[Any] = []
    space: list[Any] = []
    read: dict[str, Any]
    for axis in axes:
        row = np.moveaxis(padded, axis, -1)[start[:axis] + start[axis + 1 :]]
        real = np.unique(row[row > 0])
        apart = int(real[1] - real[0]) if len(real) > 1 else 1
        cells.append(tuple(int((v - real[0]) // apart) if v else -1 for v in row))
        space.append((len(real), apart))
    others = [i for i in range(padded.ndim) if i not in axes]
    step_of = {i: _step(padded, start, i) for i in others}

    contraction = next(
        (x for x in inside if x.primitive is not None and x.primitive.name == "contract" and x.operands[0] is windows),
        None,
    )
    output = inside[-1]
    kernel: Tensor | None = None
    weight: dict[str, Any] = {}
    if contraction is not None:
        letters, letters_of_result = _letters(contraction.params["spec"])
        on_frames = letters[0]
        read = {name: _axis(on_frames.find(name), step_of, dims, first, padded.shape) for name in "ngc"}
        made = _made(contraction.shape, letters_of_result, dims, "ngo")
        weights = list(_down(contraction.operands[1], members))
        kernel = weights[-1]
        placed = _names(weights) - 1
        origin = tuple(0 for _ in placed.shape)
        at = lambda name: letters[1].find(name)
        step = lambda name: (placed.shape[at(name)], _step(placed, origin, at(name))) if at(name) >= 0 else (1, 0)
        weight = {
            "base": int(placed[origin]),
            "space": _three([step(name) for name in "ijk"[:dims]], (1, 0)),
            **{name: step(name) for name in "cgo"},
        }
    elif kind == "conv":
        return None
    else:
        rest = [shape[i] for i in range(len(shape)) if not first + dims <= i < first + 2 * dims]
        letters_of = "n" + ("xyz"[:dims] + "c" if first == 1 else "c" + "xyz"[:dims])
        made = _made(tuple(rest), letters_of, dims, "nc")
        read = {"n": (padded.shape[0], step_of[0]), "g": (1, 0), "c": (padded.shape[others[1]], step_of[others[1]])}
    if output.size != int(
        np.prod([size for name, axis in made.items() for size, _ in ([axis] if name != "space" else axis)])
    ):
        return None
    read["space"] = _three(space, (1, 0))
    three = lambda values: tuple(_three(list(values), 1))
    return WindowGeometry(
        kind=kind,
        lines=inside,
        input=source,
        kernel=kernel,
        output=output,
        window=three(windows.params["window"]),
        stride=three(windows.params["stride"]),
        dilation=three(windows.params["dilation"]),
        cells=tuple(_three(cells, (0,))),
        read=read,
        weight=weight,
        made=made,
        winners=_winners(windows, first, dims) if kind == "max_pool" and counts else None,
        counts=_shares(inside, output) if kind == "avg_pool" else None,
    )


def _down(line: Tensor, members: set[int]) -> Iterator[Tensor]:
    """From a line inside a call down along first operands to the line it came from outside."""
    yield line
    while id(line) in members and line.operands:
        line = line.operands[0]
        yield line


def _names(chain: Sequence[Tensor]) -> np.ndarray:
    """The places (from 1; 0 for padding) of the last tensor of a chain, as they stand in the first."""
    names: Any = np.arange(1, chain[-1].size + 1).reshape(chain[-1].shape)
    for line in reversed(chain[:-1]):
        if (
            line.primitive is not None and line.primitive.group == "wiring"
        ):  # arithmetic leaves elements in their places
            params = {**line.params, **({"dtype": np.dtype(np.int64)} if "dtype" in line.params else {})}
            names = line.primitive.forward(names, *[x.value for x in line.operands[1:]], **params)
    return np.asarray(names)


def _step(names: np.ndarray, at: Sequence[Any], axis: int) -> int:
    """How far neighbours along an axis lie apart in the flattened source."""
    if names.shape[axis] < 2:
        return 0
    here = [int(i) for i in at]
    one, two = here.copy(), here.copy()
    one[axis], two[axis] = 0, 1
    return int(names[tuple(two)] - names[tuple(one)])


def _letters(spec: str) -> tuple[list[str], str]:
    operands, result = spec.split("->")
    return operands.split(","), result


def _axis(position: int, step_of: dict[int, int], dims: int, first: int, shape: tuple[int, ...]) -> Axis:
    """An axis of the frames that is neither position nor window, found again in the padded input."""
    if position < 0:
        return (1, 0)
    axis = position if position < first else position - dims
    return shape[axis], step_of[axis]


def _made(shape: tuple[int, ...], letters: str, dims: int, names: str) -> dict[str, Any]:
    """Sizes and steps of the result's axes by their letters, in C order."""
    steps = [int(np.prod(shape[i + 1 :], dtype=int)) for i in range(len(shape))]
    found: dict[str, Any] = {
        name: (shape[letters.find(name)], steps[letters.find(name)]) if name in letters else (1, 0) for name in names
    }
    found["space"] = _three([(shape[letters.find(p)], steps[letters.find(p)]) for p in "xyz"[:dims]], (1, 0))
    return found


def _three(values: list[Any], missing: Any) -> list[Any]:
    return [missing] * (3 - len(values)) + values


def _winners(windows: Tensor, first: int, dims: int) -> np.ndarray:
    """For each output element the number of the winning cell of its window: the first of equal ones; NaN wins."""
    frames = np.moveaxis(windows.value, range(first + dims, first + 2 * dims), range(-dims, 0))
    flat = frames.reshape(*frames.shape[:-dims], -1)
    return np.argmax(flat, axis=-1).reshape(-1)


def _shares(inside: tuple[Tensor, ...], output: Tensor) -> np.ndarray:
    """What each output's sum is divided by: the constant operand of the division that ends an average."""
    for line in reversed(inside):
        if len(line.operands) == 2 and line.operands[1].constant and line.size == output.size:
            return line.operands[1].value.reshape(-1).astype(float)
    return np.ones(output.size)
