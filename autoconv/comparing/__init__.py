"""Two runs side by side: the first line where they part, how far, and which convention explains it.

side (a model, function, tape or file as a tape, and its values in double precision), saved (runs in files), matching
(which line of one run has its numbers in the other), site (where they part, and what an alternative would make of the
rest), numbers, contractions, pooling, functions and conventions (the table of alternatives), slopes (those of
gradients), statistics (what layers keep), result and compare.
"""
