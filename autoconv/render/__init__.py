"""What a reader reads and sees, made of plain data; nothing here knows a tape.

Words: text (numbers and names), element (``w[0,1]`` written and read), notation (LaTeX read into a small tree), mathml
(that tree as MathML), latex (a row of the table filled with operands).

The look: theme (colours for light and dark, type, controls: of all pages and pictures), page (one HTML page), judged (a
verdict as HTML).

Pictures: svg (how it is written), layout (our layered layout), grid (scalars on the grids of their tensors), node
(what a graph consists of), dot (the ``dot`` program), scene (which layout a graph gets), drawing; chart (curves,
images, confusion table, kernels, what was misread).  ``from autoconv import render`` for the functions named below.
"""

from .chart import confusion, curves, images, kernels, misread

__all__ = ["confusion", "curves", "images", "kernels", "misread"]
