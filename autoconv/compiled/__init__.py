"""Compiled functions (``ac.compile``): record a function once, run the recording many times.

- ``function``: what a user holds; a call goes to the recording of its signature, or is recorded;
- ``arguments``: the arrays or numbers among a call's arguments, and the structure around them;
- ``replay``: one signature's recording as a program (``..program``), run by one of its exits: the native machine
  (``..plan``), XLA (``..xla``) or NumPy (``..program.numpy_run``);
- ``scalars``: the same for functions of numbers, recorded on Scalars.
"""

from ..hooks import observe
from .function import Compiled, compile

__all__ = ["Compiled", "compile", "observe"]
