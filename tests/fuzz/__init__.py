"""Random programs over the whole public surface, and the oracles that must agree on them.

    values      numbers to compute with: plain ones, and the corners of a dtype
    program     a program as plain data, which is also a few lines of Python
    operations  how each public function is drawn
    generate    a program for a seed
    rounding    how far two executions of the same operations may differ
    oracles     eager, machine, NumPy plan, replay, scalars, jvp, differences, Hessian, second order, PyTorch
    shrink      the same mismatch in fewer lines
    known       accepted differences with their reasons, and failures that are not mended yet

``make fuzz MINUTES=30`` runs seeds that nobody has run before; ``test_fuzz.py`` runs 300 fixed ones.
"""
