"""Letters of a contraction as positions: an array with an axis for each letter, by groups of letters.

Positions [i, k] are kept as base[i] + step[k] (``Spaced``), which is what the machine reads.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..contractions import Spaced
from ..instructions import Registers
from ..spacing import offsets, positive, spaced, spacing
from .lowering import Lowering


def by_groups(table: np.ndarray, letters: str, n: str, *groups: str, sizes: dict[str, int]) -> np.ndarray:
    """An array with one axis for each letter as one with an axis for each group of letters."""
    table = table.transpose([letters.index(c) for c in n + "".join(groups) if c in letters])
    return table.reshape([prod([sizes[c] for c in group]) for group in groups])


def in_order(letters: str, sizes: dict[str, int]) -> np.ndarray:
    """The positions in an array with an axis for each letter."""
    shape = tuple([sizes[c] for c in letters])
    return spaced(0, shape, [prod(shape[d + 1 :]) for d in range(len(shape))])


def in_groups(table: np.ndarray, letters: str, g: str, i: str, k: str) -> list[Spaced]:
    """Evenly spaced numbers, an axis for each letter, for each place of the letters g: [i, k] as base and step."""
    found = spacing(table)
    assert found is not None
    size, step = dict(zip(letters, table.shape, strict=True)), dict(zip(letters, found.steps, strict=True))
    outer, base, steps = (offsets([size[c] for c in x], [step[c] for c in x]) for x in (g, i, k))
    return [Spaced(found.first + start + base, steps) for start in outer.tolist()]


def split(
    table: np.ndarray, letters: str, n: str, g: str, i: str, k: str, sizes: dict[str, int]
) -> list[Spaced] | None:
    """Registers, an axis for each letter, for each place of the letters g: [i, k] as base and step; None if they are
    not spaced so, or the zero register is among them."""
    if spacing(table) is not None:
        return in_groups(table, letters, g, i, k) if positive(table) else None
    whole = by_groups(table, letters, n, g, i, k, sizes=sizes)
    if not whole.all() or not all(even(part) for part in whole):
        return None
    return [Spaced(part[:, 0], part[0] - part[0, 0]) for part in whole]


def even(part: Registers) -> bool:
    return bool(np.array_equal(part, part[:, :1] + part[:1] - part[:1, :1]))


def one_value(low: Lowering, kernel: int, registers: Registers) -> bool:
    return len(list(low.kernels[kernel].values(registers))) == 1
