"""The whole bank: importing this file fills it."""

from __future__ import annotations

from . import mistakes_arithmetic, mistakes_kernels, mistakes_paths, mistakes_pooling, mistakes_sums, mistakes_wiring
from .bank import BANK, Mistake, find

__all__ = [
    "BANK",
    "Mistake",
    "find",
    "mistakes_arithmetic",
    "mistakes_kernels",
    "mistakes_paths",
    "mistakes_pooling",
    "mistakes_sums",
    "mistakes_wiring",
]
