"""Compiled tapes: record a function once, run it many times.

The way of a tape, folder by folder:

- ``..program`` records the lines of a function and rewrites them: dead lines dropped, equal ones shared, constants folded,
  then what only the machine needs (slopes, early, sums);
- ``lower``: lines to instructions on cells (cells, names, labels, contraction, overlap; alike and again: what a stage derives
  anew);
- ``assemble``: what the lanes of a vector hold (layout), instructions to bytes (by_examples or by_channels, strips), and the
  tasks of threads that share a block (team);
- ``run``: numpy_run, line by line in planned memory; native_run, for the machine in ``native``: which stages are one call
  (turns), what stays between them (kept), the optimiser's part (step), and a step like the last one (repeat).

compiled and call are what a user holds, entry what is known about one signature, scalars the same for functions of numbers
(arguments: which numbers), report the plan in words.
Nothing about speed leaks into the maths: the plain tape stays the oracle.
"""

from ..hooks import observe
from .compiled import Compiled, compile

__all__ = ["Compiled", "compile", "observe"]
