"""The executors: NumPy line by line, or the machine, with the optimiser's step in the same call."""
