"""The waist: a tape as plain data, however it was recorded and wherever it runs.

- ``record``: the lines of a function (watch), and what else it reads (guards; effects: what it only writes);
- ``program``: numbered lines that name their operands by number;
- ``rewrite``: passes from program to program with the same numbers.

Executors (NumPy, the native machine in ``plan``) are exits of the same program and know nothing of each other.
"""
