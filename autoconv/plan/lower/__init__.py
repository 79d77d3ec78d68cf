"""From lines to instructions: which cells a line has in which stage of the machine, and what NumPy keeps."""
