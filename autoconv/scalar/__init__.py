"""Scalars: ``Scalar`` records like a Python float, ``expand`` turns a tensor tape into scalars; both give a
``FlatTape``."""

from .blocks import Block, FlatScalar, Operation, Origin
from .expand import expand
from .floors import KINDS, Scalar, floor
from .lines import ScalarLines, called, part_of, with_names
from .named import named_scalars
from .tape import FlatTape

__all__ = [
    "KINDS",
    "Block",
    "FlatScalar",
    "FlatTape",
    "Operation",
    "Origin",
    "Scalar",
    "ScalarLines",
    "called",
    "expand",
    "floor",
    "named_scalars",
    "part_of",
    "with_names",
]
