"""Exercises: numbers of a run blanked out, to be worked out by hand and marked.

In the order data flows: a ``sheet`` has numbers in equations, arrays and pictures, and chooses the blanks; ``run`` is
one run of a loss, scalar by scalar, and ``nice`` finds small whole numbers for its inputs; ``given`` writes what a
sheet tells; ``equations``, ``gradients`` and ``picture`` are its three kinds; ``marking`` compares answers, ``key``
holds them; ``paper`` and ``page`` write the sheet as Markdown, a notebook and HTML; ``making`` is ``ac.exercise``,
which puts it together.
"""
