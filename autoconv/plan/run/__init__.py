"""The executor: native calls and NumPy's lines in order, with the optimiser's step in the same call."""
