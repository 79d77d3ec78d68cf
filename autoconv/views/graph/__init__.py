"""``ac.graph``: a tape as nodes and edges, at four zooms.

In the order in which data passes through: zoom (which lines make one node, and the recorded sweep beside them),
selection (slices), fold (equal structure once), scalars (what is known of each scalar), describe_lines and
describe_scalars (nodes and edges in words and numbers), refuse (too much to draw), graph (the request, and the picture
that comes of it).
"""
