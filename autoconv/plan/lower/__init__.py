"""From lines to instructions: which registers a line has in which kernel of the machine, and what is left to NumPy."""
