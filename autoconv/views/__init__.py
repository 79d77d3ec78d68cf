"""Pictures of a tape.  Views read, they never write: a picture is a snapshot in plain data.

In the order in which data passes through:

    roles        parameters, weights, lines of the sweep; colour: one colour for each element of a tensor
    element      which element of a tape is meant by ``w[0, 0]``
    zoom         which lines of a tape make one node; definition: a maximum opened into its lines
    node         Node and Edge; describe: those of groups of lines; folding: equal structure drawn once
    selection    slices and folds of scalars; scalars: what is known of each; arrangement: where they stand
    close        the nodes and edges of the scalar zoom
    gather       from the arguments of ``ac.graph`` to nodes and edges, or a refusal with counts
    graph        ``ac.graph``: the Graph object, and the files it can be saved to
    layers       the ranks of a layered layout, and the order and distances inside them
    layout       where boxes and edges go, by our own layered layout
    grid         where scalars go: tensors on their grids, edges in channels between them
    dot          DOT text, and the ``dot`` program's layout and file formats where it is installed
    scene        which layout a graph gets, and the recorded sweep beside the forward graph
    drawing      a graph and its scene as an SVG picture; labels: what stands on its edges
    svg          how SVG is written: escaped text, colours for light and dark pages
    chart        small pictures of a training run: curves, grids of images, a confusion table
"""
