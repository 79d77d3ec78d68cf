"""From nodes and edges to a picture: pure geometry and SVG, which know nothing of tapes.

svg (how it is written), chart (curves, images, confusion table) and gallery (kernels, what was misread); layers and layout
(our layered layout), grid and arrangement (scalars on their grids), dot (the ``dot`` program); scene (which layout a graph
gets), labels and drawing.  ``from autoconv.views import pictures`` for the functions named below.
"""

from .chart import confusion, curves, images
from .gallery import kernels, misread

__all__ = ["confusion", "curves", "images", "kernels", "misread"]
