"""From a merged program to an ONNX graph: what is needed, seen from the outputs; then written from the inputs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...program.program import Line
from .cells import write
from .nodes import Emitter, Node, OnnxGraph, Port, broadcast
from .patterns import Match, Patterns
from .sizes import Merged, Row

_LARGEST_FOLDED = 1 << 22  # elements of a constant that is computed when the file is written


def graph_of(
    program: Merged,
    inputs: Sequence[tuple[Port, int | None]],
    held: Mapping[int, tuple[str, np.ndarray]],
    outputs: Sequence[str],
    batch: tuple[int, int] | None,
) -> OnnxGraph:
    """The graph of a program.

    inputs: (name, dtype and shape; its row, None for one that nothing reads) in the order of the file; held: row ->
    (name, numbers) of what the file holds; outputs: the names of the program's outputs; batch: (number of an input,
    axis) whose size is the batch.
    Raises ValueError for a row without a cell, and for sizes along a window that depend on the batch.
    """
    _fold(program)
    e = Emitter(program)
    e.taken.update(outputs)
    for port, i in inputs:
        name = e.unique(port.name)
        e.graph.inputs.append(Port(name, port.dtype, port.shape))
        if i is not None:
            e.names[i] = name
    e.batch = (e.graph.inputs[batch[0]].name, batch[1]) if batch else None
    for i, (name, array) in held.items():
        e.names[i] = e.constant(array, name=name)
    planned = _planned(program)
    for i, match in sorted(planned.items()):
        if i not in e.names and program.rows[i].value is None:
            e.names[i] = _write(e, i, match)
    for y, name in zip(program.outputs, outputs, strict=True):
        row = program.rows[y]
        e.graph.nodes.append(Node("Identity", (e.name(y),), (name,), {}))
        e.graph.outputs.append(Port(name, row.dtype, row.shape))
    return _shortened(e.graph)


def _planned(program: Merged) -> dict[int, Match | None]:
    """The rows that are written, and the pattern of each (None: its cell)."""
    patterns = Patterns(program)
    needed = {*program.outputs}
    planned: dict[int, Match | None] = {}
    for i in range(len(program.rows) - 1, -1, -1):
        if i not in needed:
            continue
        row = program.rows[i]
        match = patterns.match(i) if row.name else None
        planned[i] = match
        needed.update(match.reads if match else _reads(program, row))
    return planned


def _reads(program: Merged, row: Row) -> list[int]:
    """A row's operands; for arithmetic what these repeat, since ONNX broadcasts by itself."""
    if not _by_element(row):
        return list(row.operands)
    return [_through(program.rows, x) for x in row.operands]


def _by_element(row: Row) -> bool:
    return row.line.primitive is not None and row.line.primitive.group == "arithmetic"


def _through(rows: Sequence[Row], x: int) -> int:
    """What row x repeats, or x."""
    while rows[x].name == "broadcast_to":
        (x,) = rows[x].operands
    return x


def _write(e: Emitter, i: int, match: Match | None) -> str:
    row = e.rows[i]
    if match is not None:
        return match.write(e, [e.name(x) for x in match.reads])
    if not _by_element(row):
        return write(e, row, [e.name(x) for x in row.operands])
    reads = [_through(e.rows, x) for x in row.operands]
    y = write(e, row, [e.small(x) for x in reads])
    return y if broadcast([e.small_shape(x) for x in reads]) == row.shape else e.expand(y, row.shape)


def _fold(program: Merged) -> None:
    """Rows of known constants become constants."""
    for i, row in enumerate(program.rows):
        if row.line.primitive is None or not all(isinstance(n, int) for n in row.shape):
            continue
        values = [program.rows[x].value for x in row.operands]
        if row.line.nbytes > _LARGEST_FOLDED * row.dtype.itemsize or not all(isinstance(v, np.ndarray) for v in values):
            continue
        with np.errstate(all="ignore"):
            value = np.asarray(row.line.primitive.forward(*values, **row.params))
        program.rows[i] = Row(row.shape, Line(row.line.shape, row.dtype, value=value), {}, value)


def _shortened(graph: OnnxGraph) -> OnnxGraph:
    """Without nodes and constants that nothing reads, and without an Identity where the node before it can have the
    output's name."""
    made = {node.outputs[0]: k for k, node in enumerate(graph.nodes)}
    reads: dict[str, int] = {}
    for node in graph.nodes:
        for x in node.inputs:
            reads[x] = reads.get(x, 0) + 1
    nodes: list[Node | None] = list(graph.nodes)
    outputs = {port.name for port in graph.outputs}
    for k, node in enumerate(graph.nodes):
        if node.op == "Identity" and node.outputs[0] in outputs:
            (x,) = node.inputs
            source = graph.nodes[made[x]] if x in made else None
            if source is not None and reads[x] == 1 and len(source.outputs) == 1 and x not in outputs:
                nodes[made[x]] = Node(source.op, source.inputs, node.outputs, source.attributes)
                nodes[k] = None
    needed = set(outputs)
    kept: list[Node] = []
    for found in reversed(nodes):
        if found is not None and needed & set(found.outputs):
            kept.append(found)
            needed.update(found.inputs)
    graph.nodes = kept[::-1]
    graph.initialisers = {name: x for name, x in graph.initialisers.items() if name in needed}
    return graph
