"""Scalars: ``Scalar`` records like a Python float, ``expand`` turns a tensor tape into scalars; both give a
``FlatTape``."""

from .blocks import Block, FlatScalar, Operation, Origin
from .expand import expand
from .floors import Scalar, floor
from .tape import FlatTape

__all__ = ["Block", "FlatScalar", "FlatTape", "Operation", "Origin", "Scalar", "expand", "floor"]
