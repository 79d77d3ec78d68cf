"""An ONNX graph as plain data, and what writes one: nodes of standard operators, constants, sizes that are computed.

Nothing here needs the package onnx; ``writer`` turns the graph into a file.  Equal nodes of equal inputs are written
once, a transpose of a transpose becomes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from .sizes import Dim, Dims, Fill, Merged, Ramp, Repeated, Row, Size

OPSET = 18  # the first in which every reduction takes its axes as an input; onnxruntime reads it from 1.14 (2023) on
INT64_MAX = 2**63 - 1


@dataclass(frozen=True)
class Node:
    """``op`` of the named ``inputs`` ("" for one left out); ``outputs`` are the names of what it makes."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Port:
    """An input or output of the graph; ``shape`` has whole numbers and, for sizes that depend on the batch,
    ``Size``."""

    name: str
    dtype: np.dtype
    shape: Dims


@dataclass
class OnnxGraph:
    """Nodes in an order in which they can be run; ``initialisers`` are the arrays that the file holds."""

    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    initialisers: dict[str, np.ndarray] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)


class Emitter:
    """Writes the nodes of a merged program.

    ``name(i)`` is the name of row i's result; ``small(i)`` that of something that broadcasts to it.  ``batch`` is the
    (input, axis) whose size is the batch, or None where every size is known.
    """

    def __init__(self, program: Merged, batch: tuple[str, int] | None = None) -> None:
        self.rows = program.rows
        self.graph = OnnxGraph()
        self.names: dict[int, str] = {}
        self.taken: set[str] = set()
        self.batch = batch
        self._written: dict[Any, str] = {}
        self._constants: dict[Any, str] = {}
        self._transposed: dict[str, tuple[str, tuple[int, ...]]] = {}

    # ---- names

    def unique(self, name: str) -> str:
        """A name that nothing else in the graph has."""
        made, k = name, 2
        while made in self.taken or not made:
            made, k = f"{name or 'value'}_{k}", k + 1
        self.taken.add(made)
        return made

    def name(self, i: int) -> str:
        """The name of row i's result; a constant is written when it is first read."""
        if i not in self.names:
            self.names[i] = self._source(self.rows[i])
        return self.names[i]

    def small(self, i: int) -> str:
        """Row i's numbers in any shape that broadcasts to its own: one number if they are all equal."""
        value = self.rows[i].value
        if isinstance(value, Fill):
            return self.number(value, self.rows[i].dtype)
        if isinstance(value, Repeated):
            return self.constant(value.part)
        if isinstance(value, np.ndarray) and i not in self.names and value.size and value.ndim:
            return self.constant(_narrowed(value))
        return self.name(i)

    def small_shape(self, i: int) -> Dims:
        """The shape of ``small(i)``."""
        value = self.rows[i].value
        if isinstance(value, Fill):
            return ()
        if isinstance(value, Repeated):
            return value.part.shape
        if isinstance(value, np.ndarray) and i not in self.names and value.size and value.ndim:
            return _narrowed(value).shape
        return self.rows[i].shape

    # ---- nodes

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Write a node with one output, and return the output's name."""
        if op == "Transpose":
            return self._transpose(inputs[0], tuple(attributes["perm"]))
        key = (op, inputs, repr(sorted(attributes.items())))
        if key not in self._written:
            name = self.unique(f"{op.lower()}_{len(self.graph.nodes)}")
            self.graph.nodes.append(Node(op, inputs, (name,), attributes))
            self._written[key] = name
        return self._written[key]

    def second(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Write a node with two outputs, and return the name of the second."""
        names = self.unique(f"{op.lower()}_{len(self.graph.nodes)}"), self.unique(f"{op.lower()}_index")
        self.graph.nodes.append(Node(op, inputs, names, attributes))
        return names[1]

    def _transpose(self, x: str, perm: tuple[int, ...]) -> str:
        if x in self._transposed:
            x, before = self._transposed[x]
            perm = tuple(before[k] for k in perm)
        if perm == tuple(range(len(perm))):
            return x
        key = ("Transpose", x, perm)
        if key not in self._written:
            name = self.unique(f"transpose_{len(self.graph.nodes)}")
            self.graph.nodes.append(Node("Transpose", (x,), (name,), {"perm": perm}))
            self._written[key], self._transposed[name] = name, (x, perm)
        return self._written[key]

    def constant(self, value: Any, dtype: Any = None, name: str = "constant") -> str:
        """The name of an array in the file; equal ones are written once."""
        array = np.ascontiguousarray(value, dtype) if np.ndim(value) else np.array(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes(), name if name != "constant" else "")
        if key not in self._constants:
            self._constants[key] = self.unique(name if name != "constant" else f"constant_{len(self._constants)}")
            self.graph.initialisers[self._constants[key]] = array
        return self._constants[key]

    def ints(self, values: Sequence[int]) -> str:
        return self.constant(np.array(values, np.int64).reshape(len(values)))

    def cast(self, x: str, dtype: Any) -> str:
        return self.node("Cast", x, to=np.dtype(dtype))

    # ---- sizes

    def size(self, n: Dim) -> str:
        """A size as int64 of shape (1,)."""
        if not isinstance(n, Size):
            return self.ints([n])
        assert self.batch is not None
        x, axis = self.batch
        name = self.node("Shape", x, start=axis, end=axis + 1)
        if n.times != 1:
            name = self.node("Mul", name, self.ints([n.times]))
        return self.node("Add", name, self.ints([n.base])) if n.base else name

    def sizes(self, shape: Sequence[Dim]) -> str:
        """Sizes as int64 of shape (len(shape),)."""
        if not any(isinstance(n, Size) for n in shape):
            return self.ints([n for n in shape if isinstance(n, int)])
        parts: list[str] = []
        fixed: list[int] = []
        for n in shape:
            if isinstance(n, Size):
                if fixed:
                    parts.append(self.ints(fixed))
                    fixed = []
                parts.append(self.size(n))
            else:
                fixed.append(n)
        if fixed:
            parts.append(self.ints(fixed))
        return parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=0)

    def reshape(self, x: str, shape: Sequence[Dim | None], before: Dims | None = None) -> str:
        """x under ``shape``, in which one size may be None: whatever is left.  ``before``: the shape that x has."""
        if before is not None and tuple(shape) == before:
            return x
        open_ = [i for i, n in enumerate(shape) if not isinstance(n, int)]
        if len(open_) <= 1 and 0 not in shape:
            return self.node("Reshape", x, self.ints([n if isinstance(n, int) else -1 for n in shape]))
        vague = [i for i in open_ if shape[i] is None]
        assert len(vague) <= 1, "two sizes that are left open"
        sizes = self.sizes([-1 if n is None else n for n in shape])
        return self.node("Reshape", x, sizes, **({"allowzero": 1} if 0 in shape and not vague else {}))

    def number(self, fill: Fill, dtype: np.dtype) -> str:
        """A ``Fill`` as one number of ``dtype``."""
        if not fill.times:
            return self.constant(np.array(1 / fill.base if fill.inverse else fill.base, dtype))
        assert self.batch is not None
        wide = np.dtype("float64" if dtype == np.float64 else "float32" if dtype.kind == "f" else "int64")
        x = self.cast(self.node("Squeeze", self.size(Size(0, 1)), self.ints([0])), wide)
        if fill.times != 1:
            x = self.node("Mul", x, self.constant(np.array(fill.times, wide)))
        if fill.base:
            x = self.node("Add", x, self.constant(np.array(fill.base, wide)))
        if fill.inverse:
            x = self.node("Div", self.constant(np.array(1.0, wide)), x)
        return x if wide == dtype else self.cast(x, dtype)

    def _source(self, row: Row) -> str:
        """A constant written out in its shape."""
        if isinstance(row.value, Fill):
            return self.expand(self.number(row.value, row.dtype), row.shape)
        if isinstance(row.value, Repeated):
            return self.expand(self.constant(row.value.part), row.shape)
        if isinstance(row.value, Ramp):
            return self._ramp(row.value, row)
        assert isinstance(row.value, np.ndarray), f"row {row.name} is read before it is written"
        if row.value.size > 1 and not any(row.value.strides):
            return self.expand(self.constant(np.array(row.value.flat[0])), row.shape)
        return self.constant(row.value)

    def expand(self, x: str, shape: Dims) -> str:
        return self.node("Expand", x, self.sizes(shape)) if shape else x

    def _ramp(self, ramp: Ramp, row: Row) -> str:
        zero, one = (self.constant(np.array(n, np.int64)) for n in (0, 1))
        end = self.node("Squeeze", self.size(row.shape[ramp.axis]), self.ints([0]))
        places = self.cast(self.node("Range", zero, end, one), row.dtype)
        shape = (-1,) + (1,) * (len(row.shape) - 1 - ramp.axis)
        places = self.node("Reshape", places, self.ints(shape))
        first, step = (np.expand_dims(x, ramp.axis) for x in (ramp.first, ramp.step))
        y = self.node("Mul", places, self.constant(step))
        return self.node("Add", y, self.constant(first)) if first.any() else y


def _narrowed(value: np.ndarray) -> np.ndarray:
    """A constant with the axes along which it repeats itself in memory cut down to one place."""
    if not any(value.strides):
        return value[(0,) * value.ndim].reshape(())
    return value[tuple(slice(0, 1) if n > 1 and s == 0 else slice(None) for n, s in zip(value.shape, value.strides,
                                                                                        strict=True))]  # fmt: skip


def product(shape: Sequence[Dim]) -> Dim | None:
    """How many elements: a whole number, a ``Size``, or None where it is not a multiple of the batch."""
    dynamic = [n for n in shape if isinstance(n, Size)]
    fixed = prod([n for n in shape if isinstance(n, int)])
    if not dynamic:
        return fixed
    return dynamic[0] * fixed if len(dynamic) == 1 else None


def broadcast(shapes: Sequence[Dims]) -> Dims:
    """The shape to which shapes broadcast, sizes that depend on the batch included."""
    count = max((len(s) for s in shapes), default=0)
    made: list[Dim] = []
    for k in range(count):
        dims = [s[k - count + len(s)] for s in shapes if k - count + len(s) >= 0]
        made.append(next((n for n in dims if n != 1), 1))
    return tuple(made)
