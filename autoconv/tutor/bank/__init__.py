"""The bank of mistakes, complete: importing it fills it.  ``mistake`` says what a mistake is, the others enter them."""

from . import arithmetic, contractions, paths, wiring
from .mistake import BANK, Mistake, find

__all__ = ["BANK", "Mistake", "arithmetic", "contractions", "find", "paths", "wiring"]
