"""Where scalars stand in their block: elements on their tensor's grid, a convolution's products on their window's.

A block is one line of the tape.  Each element has a panel: one box, or the products and their sum, or the lines of a
definition from top to bottom.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..scalar import FlatTape
from ..scalar.blocks import Block

LAST = 10**6  # below everything else in a panel
LONGEST_ROW = 16


def on_grid(index: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, int]:
    """(row, column) of an element: axes of size 1 do not count, images (N, H, W, C) stand channel beside channel.

    Kernels (kH, kW, C_in, C_out) have a column of kernels for each output channel.  A long vector is broken into rows.
    """
    kept = [(i, n) for i, n in zip(index, shape, strict=True) if n != 1]
    if len(kept) <= 1:
        i, n = kept[0] if kept else (0, 1)
        width = n if n <= LONGEST_ROW else int(np.ceil(np.sqrt(2 * n)))
        return i // width, i % width
    if len(kept) == 2:
        return kept[0][0], kept[1][0]
    if len(kept) == 3:
        (i, _), (j, width), (c, _) = kept
        return i, c * width + j
    first = kept[0]
    if len(shape) == 4 and shape[0] <= 11 and shape[1] <= 11 and shape[2] * shape[3] >= shape[0]:
        (i, height), (j, width), (c, _), (d, _) = kept[:4]
        return c * height + i, d * width + j
    rest = on_grid(tuple(i for i, _ in kept[1:]), tuple(n for _, n in kept[1:]))
    below = int(np.prod([n for _, n in kept[1:]]))
    return first[0] * below + rest[0], rest[1]


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
