"""The bank of mistakes, complete: importing it fills it.  ``mistake`` says what a mistake is, the others enter them."""

from . import arithmetic, contractions, grouped, kernels, loops, normalised, paths, pooling, wiring
from .mistake import BANK, Mistake, find

__all__ = [
    "BANK", "Mistake", "arithmetic", "contractions", "find", "grouped", "kernels", "loops", "normalised", "paths",
    "pooling", "wiring"
]  # fmt: skip
