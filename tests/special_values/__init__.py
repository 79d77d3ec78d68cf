"""Every public function at the corners of every dtype, against mpmath, on every floor.

    points      the numbers: infinities, largest, smallest, denormals, zeros of both signs, NaN, offsets, ties
    elementwise what a function of one or two numbers is there: definition, slope, limits at infinity, choices at kinks
    vectors     the same for functions of an array: reductions, softmax, norms, losses
    floors      eager, native machine, NumPy plan, expanded scalars, Scalar
    known       what fails and is not mended yet

The references are written in mpmath with 60 digits, from the mathematical definition and not from the code.
"""
