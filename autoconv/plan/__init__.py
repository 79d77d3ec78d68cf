"""Compiled tapes: record a function once, run it many times.

The way of a tape: watch (record, and notice what cannot be replayed) and guards (what else the function reads; effects: what
it only writes), program (the tape as plain data), passes (dead lines dropped, equal ones shared, constants folded).  Then
either numpy_run (line by line in planned memory), or slopes, lower (with cells, names, labels, contraction, overlap), layout
(what the lanes of a vector hold), assemble (by_examples or by_channels, strips) and native_run: instructions for the machine
in native/.  compiled and call are what a user holds, entry what is known about one signature, step the optimiser's part,
scalars the same for functions of numbers (arguments: which numbers), report the plan in words.
Nothing about speed leaks into the maths: the plain tape stays the oracle.
"""

from ..hooks import observe
from .compiled import Compiled, compile

__all__ = ["Compiled", "compile", "observe"]
