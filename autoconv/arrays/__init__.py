"""What the table's rows do to a plain array, where NumPy has no function for it, and how arrays are gone through fast.

fractions (exact zeros and casts), order (maximum, sign, which is the greater), special (erf, xlogy), sums (of any axes,
with their digits), wiring (windows, overlap-add, scatter), contraction; memory (the order of axes in memory), rules
(derivative rules on large arrays), threads (one for many small products).
NumPy functions only; they work for every dtype, exact fractions included.
"""

from .contraction import contract
from .fractions import cast, exact, zeros
from .memory import ordered_as
from .order import extreme, order, sign
from .rules import cases, elementwise, slope
from .special import atan2, erf, erfc, multiply_no_nan, softsign, xlogy
from .sums import sum_to, total, wide
from .wiring import crop, overlap_add, pad, scatter, scatter_add, windows

__all__ = [
    "atan2", "cases", "cast", "contract", "crop", "elementwise", "erf", "erfc", "exact", "extreme", "multiply_no_nan",
    "order", "ordered_as", "overlap_add", "pad", "scatter", "scatter_add", "sign", "slope", "softsign", "sum_to",
    "total", "wide", "windows", "xlogy", "zeros",
]  # fmt: skip
