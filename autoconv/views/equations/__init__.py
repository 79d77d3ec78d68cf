"""``ac.explain``: where one gradient comes from, in symbols and the run's own numbers.

analysis, products, symbols and definitions (local derivatives as formulas), terms (the sum), reasons (of a zero), equation and
equationpage (how it is written), explain; paths, uses; matrix (a convolution as a weight-shared layer).
"""
