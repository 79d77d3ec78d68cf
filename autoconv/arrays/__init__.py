"""What the table's rows do to a plain array, where NumPy has no function for it.

elements (exact fractions, sign, order), memory (the order of axes in memory), wiring (windows, overlap-add, scatter),
contraction.  NumPy functions only; they work for every dtype, exact fractions included.
"""

from .contraction import contract
from .elements import Cases, cast, erf, exact, extreme, order, sign, times_cases, zeros
from .memory import in_blocks, ordered_as
from .wiring import crop, overlap_add, pad, scatter, scatter_add, sum_to, windows

__all__ = [
    "Cases", "cast", "contract", "crop", "erf", "exact", "extreme", "in_blocks", "order", "ordered_as", "overlap_add", "pad",
    "scatter", "scatter_add", "sign", "sum_to", "times_cases", "windows", "zeros",
]  # fmt: skip
