"""What the tests of an exit (JavaScript, XLA) run of the table: operands of any row, special values, unusual params."""

import numpy as np

from autoconv.primitives import TABLE


def special(small):
    """Zeros of both signs, numbers from ``small`` to 1e20, infinities and NaN; ``small``: the smallest that it has."""
    sizes = [0.0, small, 0.5, 1.0, 2.0, 3.5, 100.0, 1e20, np.inf]
    return [*sizes, *[-x for x in sizes], np.nan]


def each_with_each(row, values, dtype="float64"):
    """(operands, params) of an elementwise row: every value beside every other, conditions as their signs say."""
    operands, params = row.example(np.random.default_rng(0))
    grid = np.meshgrid(*[np.array(values, dtype)] * len(operands), indexing="ij")
    return [g > 0 if x.dtype == bool else g for g, x in zip(grid, operands, strict=True)], params


# row, shape of its (first) operand, params
PARAMS = [
    ("abs", (7,), {"slope_at_zero": 1}),
    ("sign", (7,), {"at_zero": 1}),
    ("sign", (7,), {"at_zero": -1}),
    ("maximum", (7,), {"ties": "first"}),
    ("reshape", (2, 3, 4), {"shape": (4, 6)}),
    ("permute_dims", (2, 3, 4, 2), {"axes": (3, 0, 2, 1)}),
    ("flip", (2, 3), {"axis": (-1,)}),
    ("broadcast_to", (3, 1, 2), {"shape": (4, 3, 5, 2)}),
    ("sum_to", (4, 3, 5, 2), {"shape": (3, 1, 2)}),
    ("sum_to", (4, 3), {"shape": ()}),
    ("sum", (4, 3, 5), {"axis": (-1, 0), "keepdims": True}),
    ("sum", (4, 3, 5), {"axis": ()}),
    ("sum", (4, 0, 5), {"axis": (1,)}),
    ("pad", (2, 3, 1), {"width": ((0, 0), (1, 2), (0, 3))}),
    ("crop", (4, 3), {"width": ((2, 2), (0, 1))}),
    ("index", (4, 5, 3), {"key": (slice(3, None, -2), None, Ellipsis, 1)}),
    ("index", (4, 5), {"key": -1}),
    ("index", (4, 5), {"key": (slice(3, 1), slice(None))}),
    ("index", (4, 5), {"key": (np.array([0, 2]), np.array([1, 1]))}),
    ("index", (4, 5), {"key": np.array([True, False, True, False])}),
    ("index", (4, 5), {"key": (slice(None, None, -1), slice(1, 2))}),
    ("scatter", (2, 1, 5), {"key": (slice(3, None, -2), None, Ellipsis, 1), "shape": (4, 5, 3)}),
    ("scatter", (2,), {"key": (np.array([3, 0]), 1), "shape": (4, 3)}),
    ("scatter", (0, 3), {"key": (slice(2, 2),), "shape": (4, 3)}),
    ("windows", (2, 7, 6, 5, 2), {"axes": (1, 2, 3), "window": (3, 2, 1), "stride": (2, 1, 3), "dilation": (1, 3, 1)}),
    ("windows", (2, 3, 7), {"axes": (2,), "window": (3,), "stride": (1,), "dilation": (2,)}),
    ("windows", (2, 8, 3), {"axes": (1,), "window": (3,), "stride": (3,), "dilation": (1,)}),
    ("windows", (2, 300), {"axes": (1,), "window": (200,), "stride": (7,), "dilation": (1,)}),
    ("overlap_add", (2, 3, 3, 2), {"axes": (2,), "size": (6,), "stride": (1,), "dilation": (2,)}),
    ("overlap_add", (2, 2, 3, 2), {"axes": (1,), "size": (8,), "stride": (3,), "dilation": (1,)}),
    ("overlap_add", (2, 15, 200), {"axes": (1,), "size": (300,), "stride": (7,), "dilation": (1,)}),
    ("argsort", (3, 4, 2), {"axis": -2}),
    ("contract", (3, 4), {"spec": "ij,->ij"}),
    ("contract", (2, 3, 4, 5, 2), {"spec": "abcde,bcf->fade"}),
]


def operands_of(name, shape, params):
    """Numbers for a line of PARAMS; a contraction's second operand has its sizes from here."""
    rng = np.random.default_rng(2)
    shapes = [shape] * max(1, (TABLE[name].arity or 1) if TABLE[name].elementwise else 1)
    if name == "contract":
        second = params["spec"].split("->")[0].split(",")[1]
        shapes.append(tuple({"b": 3, "c": 4, "f": 6}[c] for c in second))
    return [np.round(rng.normal(size=s), 1) for s in shapes]
