"""From nodes and edges to a picture: pure geometry and SVG, which know nothing of tapes.

svg (how it is written) and chart (curves, images, confusion table); layers and layout (our layered layout), grid and
arrangement (scalars on their grids), dot (the ``dot`` program); scene (which layout a graph gets), labels and drawing.
"""
