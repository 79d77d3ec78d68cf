"""What a reader reads and sees, made of plain data: formulas, numbers, colours; boxes, edges, layouts and SVG.

Words: text and latex write a line from its row of the table, mathml turns LaTeX into what a page shows; element finds what
is meant by ``w[0, 0]``; colour gives each element of a tensor one colour for all views; roles tells parameters from results.

Pictures: node (Node and Edge, what a graph consists of), svg (how it is written), chart (curves, images, confusion table) and
gallery (kernels, what was misread); layers and layout (our layered layout), grid and arrangement (scalars on their grids), dot
(the ``dot`` program); scene (which layout a graph gets), labels and drawing.  ``from autoconv import render`` for the functions
named below.
"""

from .chart import confusion, curves, images, kernels, misread

__all__ = ["confusion", "curves", "images", "kernels", "misread"]
