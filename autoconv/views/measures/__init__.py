"""What can be measured on a tape: which inputs an element reads, how the gradient flows, what memory the sweep holds.

    receptive_field  ``ac.receptive_field``: the elements that one depends on, and by how much
    gradient_flow    ``ac.gradient_flow``: the gradient's size layer by layer, and units that let none through
    memory           ``ac.memory``: which line keeps which array alive, the peak, what may be computed again

Each answers with plain numbers that draw and save themselves (``measured``).
"""
