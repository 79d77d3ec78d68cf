"""Pictures, walks and equations of a tape.  Views read, they never write: each is a snapshot in plain data.

In the order in which data passes through:

    graph       ``ac.graph``: which lines make one node at a zoom, slices, folds, the sweep beside
    stepper     ``ac.step``: events, their formulas, the terminal, the interactive page; ``ac.record_training``
    equations   ``ac.explain``, ``ac.paths``, ``ac.uses``, and the matrix of a convolution

How things look (formulas, SVG, layouts) stands below, in ``render``.
"""
