"""Selected scalars as nodes and edges: one by one, or folded, each class of equal structure once; and where each
stands.

A block is one line of the tape.  Each of its elements has a panel: one box, or the products and their sum, or the lines
of a definition from top to bottom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...render.grid import Place, on_grid
from ...render.node import Edge, Node
from ...scalar import FlatTape
from ...scalar.blocks import Block
from .scalars import Scalars, plain

Drawn = tuple[tuple[Node, ...], tuple[Edge, ...]]
LAST = 10**6  # below everything else in a panel


def describe_scalars(scalars: Scalars, selected: np.ndarray, results: set[int], serving: Mapping[int, int]) -> Drawn:
    """The nodes and edges of the scalars in the mask ``selected``.

    results: the scalars of the output.  serving: tape line of the sweep -> the forward line that it serves.
    """
    flat = scalars.flat
    numbers = np.flatnonzero(selected).tolist()
    shown = set(numbers)
    panels = {k: inside(flat, flat.blocks[k]) for k in sorted(set(scalars.blocks[numbers].tolist())) if flat.blocks}
    paths: Counter[int] = Counter()
    edges, outside = [], dict[int, int]()
    for i in numbers:
        slopes = scalars.slopes(i)
        for k, source in enumerate(scalars.operands(i)):
            if source in shown:
                paths[source] += bool(slopes[k]) and line_of(scalars, i) not in serving
                edges.append(Edge(f"s{source}", f"s{i}", k, (), slopes[k], scalars.colour(source)))
            elif not scalars.hidden[source]:
                outside[i] = outside.get(i, 0) + 1
    nodes = []
    for i in numbers:
        line = line_of(scalars, i)
        more = f"{outside[i]} more operand{'s' if outside[i] > 1 else ''} outside the slice" if i in outside else ""
        nodes.append(
            Node(
                id=f"s{i}",
                kind=kind(scalars, i),
                operation=scalars.operation(i),
                caption=caption(scalars, line),
                title=scalars.title(i),
                formula=scalars.formula(i) if scalars.known(i) else "",
                shapes=((),),
                value=plain(flat.value[i]),
                gradient=gradient(scalars, np.array([i])) if line not in serving else None,
                output=i in results,
                lines=(line,) if line >= 0 else (),
                elements=tuple(elements_of(scalars, np.array([i]))),
                note=more,
                colours=(scalars.colour(i),) if scalars.colour(i) else (),
                paths=max(1, paths[i]),
                part="backward" if line in serving else "forward",
                serves=serving.get(line),
                cell=cell(scalars, i, panels, line in serving),
            )
        )
    return tuple(nodes), tuple(edges)


def fold_scalars(
    scalars: Scalars, selected: np.ndarray, classes: np.ndarray, results: set[int], serving: Mapping[int, int]
) -> Drawn:
    """One node for each class of the selected scalars, with how many there are, and the range of their numbers."""
    flat = scalars.flat
    numbers = np.flatnonzero(selected)
    found, first, back = np.unique(classes[numbers], return_index=True, return_inverse=True)
    members = {int(c): numbers[np.ravel(back) == k] for k, c in enumerate(found)}
    seen: Counter[tuple[int, int]] = Counter()
    nodes, edges = [], []
    for i in numbers[np.sort(first)].tolist():
        group, number = members[int(classes[i])], int(classes[i])
        line = line_of(scalars, i)
        inner = panel_row(scalars, i)
        column = seen[line, inner]
        seen[line, inner] += 1
        nodes.append(
            Node(
                id=f"c{number}",
                kind=kind(scalars, i),
                operation=scalars.operation(i),
                caption=caption(scalars, line),
                title=scalars.title(i) if len(group) == 1 else all_of(scalars, i),
                formula="" if not scalars.known(i) else scalars.formula(i) if len(group) == 1 else pattern(scalars, i),
                shapes=((),),
                value=spread(flat.value[group]),
                gradient=gradient(scalars, group) if line not in serving else None,
                output=not results.isdisjoint(group.tolist()),
                lines=(line,) if line >= 0 else (),
                count=len(group),
                elements=tuple(elements_of(scalars, group)),
                part="backward" if line in serving else "forward",
                serves=serving.get(line),
                cell=Place(max(line, 0), (0, inner), (0, column)),
            )
        )
        edges += _edges(scalars, group, number, selected, classes)
    return tuple(nodes), tuple(edges)


def _edges(scalars: Scalars, group: np.ndarray, number: int, selected: np.ndarray, classes: np.ndarray) -> list[Edge]:
    """The edges into one class: one for each operand, or for each class of a sum's terms."""
    made = []
    for k, (read, slopes, tied) in enumerate(scalars.columns(group)):
        chosen = np.flatnonzero(selected[read])
        targets = classes[read[chosen]]
        for source in np.unique(targets).tolist():
            here = chosen[targets == source]
            words = (
                spread(slopes[here]) if slopes is not None and kind(scalars, int(read[here[0]])) != "constant" else ""
            )
            ties = int(np.count_nonzero(scalars.flat.value[read[here]] == 0)) if tied else 0
            words += f" ({ties:,} tie{'s' if ties > 1 else ''})" if ties and words else ""
            made.append(Edge(f"c{source}", f"c{number}", k, (), words, count=len(here)))
    return made


# ---- what the texts say


def kind(scalars: Scalars, i: int) -> str:
    name = scalars.flat.operations[int(scalars.flat.operation[i])].name
    return name if name in ("input", "constant") else "scalar"


def gradient(scalars: Scalars, group: np.ndarray) -> str | None:
    if scalars.gradient is None or kind(scalars, int(group[0])) == "constant":
        return None
    return spread(scalars.gradient[group])


def spread(values: np.ndarray) -> str:
    """One number, or the smallest .. largest."""
    known = values if values.dtype == object else values[~np.isnan(values)]
    if not known.size:
        return "nan"
    low, high = plain(known.min()), plain(known.max())
    return low if low == high else f"{low} .. {high}"


def all_of(scalars: Scalars, i: int) -> str:
    """The title of a class: its line's name, with an index that stands for all."""
    if scalars.flat.tape is None or scalars.line[i] < 0:
        return pattern(scalars, i)
    line = scalars.flat.tape[int(scalars.line[i])]
    return f"{scalars.name_of(line) or f'%{scalars.line[i]}'}[…]"


def pattern(scalars: Scalars, i: int) -> str:
    """The formula of a class: that of its first member, with open indices."""
    text = scalars.formula(i)
    out, depth = "", 0
    for c in text:  # "[1,2]" -> "[…]"
        depth -= c == "]" and depth > 0
        out += "" if depth else c
        depth += c == "["
        out += "…" if c == "[" else ""
    return out


# ---- where they stand


def caption(scalars: Scalars, number: int) -> str:
    """What stands over a block: the name of its line, or what it computes, and its shape."""
    if scalars.flat.tape is None or number < 0:
        return ""
    line = scalars.flat.tape[number]
    made = line.primitive.name if line.primitive else ""
    first = int(scalars.flat.places[id(line)].ravel()[0]) if line.size else 0
    known = scalars.flat.tape[int(scalars.line[first])] if scalars.line[first] >= 0 else line
    if known.size != line.size or not scalars.name_of(known):
        known = line
    name = scalars.name_of(known) or ("" if made else "constant" if line.constant else "input")
    return "  ".join(part for part in (name, str(known.shape), made, f"%{number}") if part)


def line_of(scalars: Scalars, i: int) -> int:
    """The line of the tape that a scalar was made by; -1 for a Scalar's tape."""
    block = scalars.block(i)
    return scalars.number.get(id(block.line), -1) if block else -1


def elements_of(scalars: Scalars, group: np.ndarray) -> list[int]:
    """The flat indices in their line of scalars of one block."""
    block = scalars.block(int(group[0]))
    if block is None:
        return group.tolist()
    own = group - block.first
    return (own if block.elements is None else block.elements[own]).tolist()


def cell(scalars: Scalars, i: int, panels: Mapping[int, object], upside_down: bool) -> Place | None:
    block = scalars.block(i)
    if block is None:
        return None
    row, column = on_grid(*scalars.shape(i))
    within = panels[int(scalars.blocks[i])]
    r, c = within[i - block.first] if isinstance(within, list) else within  # type: ignore[misc]
    line = scalars.number[id(block.line)]
    if upside_down:  # the sweep runs upwards: so that its grids have their first row at the top
        row, r = -row, r if block.opened or r == LAST else -r
    alone = block.opened is None and "spec" not in block.line.params
    return Place(line, (0, row), (0, column)) if alone else Place(line, (row, r), (column, c))


def panel_row(scalars: Scalars, i: int) -> int:
    """The row of a class in its block: products above their sum, a definition's lines from top to bottom."""
    block = scalars.block(i)
    if block is None:
        return 0
    within = inside(scalars.flat, block)
    if isinstance(within, list):
        return 0
    return within[0]


def inside(flat: FlatTape, block: Block) -> list[tuple[int, int]] | tuple[int, int]:
    """(row, column) inside the panel, for each scalar of a block, or one for all."""
    if block.opened is not None:
        return _steps(block)
    found = terms(flat, block)
    if found is not None:
        index, shape = found
        return [on_grid(tuple(map(int, np.unravel_index(int(i), shape))), shape) for i in index]
    if block.operation.name == "sum" and "spec" in block.line.params:
        return LAST, 0
    return 0, 0


def terms(flat: FlatTape, block: Block) -> tuple[np.ndarray, tuple[int, ...]] | None:
    """For the products of a contraction: the flat index of each among the terms of its sum, and the shape of those.

    The expansion leaves out products with padding, so this finds out which of all there are.  None for other blocks.
    """
    line = block.line
    if not block.inner or block.opened or "spec" not in line.params:
        return None
    letters, result = line.params["spec"].split("->")
    in_a, in_b = letters.split(",")
    summed = "".join(c for c in in_a if c in in_b and c not in result)
    size: dict[str, int] = {}
    read = []
    for own, x in ((in_a, line.operands[0]), (in_b, line.operands[1])):
        size.update(zip(own, x.shape, strict=True))
        axes = [own.index(c) for c in result + summed if c in own]
        read.append((flat.places[id(x)].transpose(axes) != 0, set(own)))
    full = tuple(size[c] for c in result + summed)
    kept = np.ones(full, bool)
    for mask, own in read:
        kept &= mask.reshape([size[c] if c in own else 1 for c in result + summed])
    shape = tuple(size[c] for c in summed)
    return np.flatnonzero(kept) % int(np.prod(shape, dtype=int)), shape


def _steps(block: Block) -> tuple[int, int]:
    """A line of a definition: below the lines that it reads, under the first of them."""
    opened: Any = block.opened
    placed: dict[int, tuple[int, int]] = {}
    for step in opened.definition:
        if step.primitive is None:
            continue
        above = [placed[id(x)] for x in step.operands if id(x) in placed]
        row = max((r + 1 for r, _ in above), default=0)
        column = above[0][1] if above else 0
        while (row, column) in placed.values():
            column += 1
        placed[id(step)] = row, column
    return placed[id(block.step)]
