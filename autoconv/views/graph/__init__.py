"""``ac.graph``: a tape as nodes and edges, at four zooms.

node (Node, Edge); zoom (which lines make one node), definition (a maximum opened), describe (their nodes), folding (equal
structure once); selection, scalars and close (the scalar zoom); gather (a request to nodes and edges, or a refusal); graph.
"""
