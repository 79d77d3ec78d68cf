"""What the table's rows do to a plain array, where NumPy has no function for it, and how arrays are gone through fast.

fractions (exact zeros and casts), order (maximum, sign, which is the greater), special (erf), sums (of any axes, with
their digits), wiring (windows, overlap-add, scatter), contraction; memory (the order of axes in memory), rules (derivative rules on large arrays).
NumPy functions only; they work for every dtype, exact fractions included.
"""

from .contraction import contract
from .fractions import cast, exact, zeros
from .memory import ordered_as
from .order import extreme, order, sign
from .rules import cases, elementwise
from .special import erf
from .sums import sum_to, total, wide
from .wiring import crop, overlap_add, pad, scatter, scatter_add, windows

__all__ = [
    "cases", "cast", "contract", "crop", "elementwise", "erf", "exact", "extreme", "order", "ordered_as", "overlap_add",
    "pad", "scatter", "scatter_add", "sign", "sum_to", "total", "wide", "windows", "zeros",
]  # fmt: skip
