"""Exercises: numbers of a run blanked out, to be worked out by hand and marked.

In the order data flows: ``nice`` finds small numbers for the inputs, ``run`` is one run with all its scalars; ``equations``,
``gradients`` and ``picture`` put numbers on a ``sheet``, which chooses the blanks; ``making`` is ``ac.exercise``; ``paper``,
``page`` and ``notebook`` write the sheet as Markdown, HTML and cells; ``key`` has the answers, ``marking`` compares.
"""
