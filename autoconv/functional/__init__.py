"""Composed operations: everything here is made of rows of the table, and nothing has a gradient of its own.

In the order data flows: array (shape, joining, indexing), reduce, linalg, frames (im2col), conv, pool, matrix (a convolution
as a matrix), activation, normalisation, loss; methods binds them to Tensor and to NumPy's functions.
"""
