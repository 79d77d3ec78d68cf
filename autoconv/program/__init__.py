"""The waist: a tape as plain data, however it was recorded and wherever it runs.

- ``record``: the lines of a function (watch), without the numbers that nobody reads (late), what it asks outside
  (outside), and what else it reads (guards, reach, owners; effects: what it only writes);
- ``program``: numbered lines that name their operands by number; the lines in words;
- ``rewrite``: passes from program to program that are exact: every number keeps its bits, so all exits may share them
  (slope_of_result is one);
- ``numpy_run``: the exit that every machine has, NumPy line by line, and the oracle of the others.

Exits know nothing of entrances, nor of each other (but that each may leave lines to NumPy): the native machine is
``..plan``, the interpreter in a saved page ``..views.live``, XLA ``..xla``, each a room beside the others.
``..compiled`` chooses what runs in this process.
"""
