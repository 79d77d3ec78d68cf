"""``ac.explain``: where one gradient comes from, in symbols and the run's own numbers.

In the order in which data passes through: analysis (the analysed scalar graph of one output; of_scalars where that is a
Scalar), symbols (names and local derivatives as formulas), terms (the chain rule at one scalar), explanation (the data,
and why a gradient is zero), equation (how it is written), explain.  Beside it: paths, uses, and matrix (a convolution
as a weight-shared layer).
"""
