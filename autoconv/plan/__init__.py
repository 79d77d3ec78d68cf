"""Compiled tapes: record a function once, run it many times.

The way of a tape: watch (record, and notice what cannot be replayed) and guards (what else the function reads; effects: what
it only writes), program (the tape as plain data), passes (dead lines dropped, equal ones shared, constants folded).  Then
either numpy_run (line by line in planned memory), or slopes, early, sums (lines rewritten), lower (with cells, names, labels,
contraction, overlap; alike and again: what a stage derives anew), layout (what the lanes of a vector hold), assemble
(by_examples or by_channels, strips; team: tasks of threads that share a block), turns (which stages are one call) and
native_run: instructions for the machine in native/.  compiled and call are what a user holds, entry what is known about one
signature, step the optimiser's part, repeat a step like the last one, scalars the same for functions of numbers (arguments:
which numbers), report the plan in words.
Nothing about speed leaks into the maths: the plain tape stays the oracle.
"""

from ..hooks import observe
from .compiled import Compiled, compile

__all__ = ["Compiled", "compile", "observe"]
