"""Pictures, walks and equations of a tape.  Views read, they never write: each is a snapshot in plain data.

In the order in which data passes through:

    words       text and latex of a line from its row, mathml; names, colours and roles of tensors and their elements
    pictures    how SVG is written, where boxes and edges go, what dot can do; charts
    graphs      ``ac.graph``: which lines make one node at a zoom, slices, folds, the sweep beside
    steps       ``ac.step``: events, their formulas, the terminal, the interactive page; ``ac.record_training``
    equations   ``ac.explain``, ``ac.paths``, ``ac.uses``, and the matrix of a convolution
"""
