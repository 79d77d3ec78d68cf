"""Pictures of a tape.  Views read, they never write: a picture is a snapshot in plain data.

In the order in which data passes through:

    zoom      which lines of a tape make one node; the nodes and edges, described in words and numbers (``text``)
    graph     ``ac.graph``: the Graph object, and the files it can be saved to
    layers    the ranks of a layered layout, and the order and distances inside them
    layout    where boxes and edges go, by our own layered layout
    dot       DOT text, and the ``dot`` program's layout and file formats where it is installed
    drawing   a graph and a layout as an SVG picture
    svg       how SVG is written: escaped text, colours for light and dark pages
    chart     small pictures of a training run: curves, grids of images, a confusion table
"""
