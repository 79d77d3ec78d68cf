"""The operators of ONNX that saved files are made of, run with NumPy as the standard defines them (opset 18).

Written from the standard's text (https://onnx.ai/onnx/operators/), slowly and plainly, so that files are tested where
neither onnx nor a runtime is installed.  ``run(graph, feeds)`` -> {output name: array}.
"""

from itertools import product
from math import erf

import numpy as np


def run(graph, feeds):
    """The outputs of a graph of plain data for arrays by the names of its inputs."""
    values = {"": None, **graph.initialisers}
    for port in graph.inputs:
        x = np.asarray(feeds[port.name])
        assert x.dtype == port.dtype, f"{port.name} has dtype {x.dtype}, the file says {port.dtype}"
        values[port.name] = x
    for node in graph.nodes:
        assert not any(name in values for name in node.outputs), f"{node.outputs} are made twice"
        with np.errstate(all="ignore"):
            made = OPERATORS[node.op](*[values[name] for name in node.inputs], **node.attributes)
        made = made if isinstance(made, tuple) else (made,)
        values.update(zip(node.outputs, map(np.asarray, made), strict=True))
    for port in graph.outputs:
        assert values[port.name].dtype == port.dtype, f"{port.name}: {values[port.name].dtype}, not {port.dtype}"
    return {port.name: values[port.name] for port in graph.outputs}


def same(f):
    """An operator whose operands have one dtype, which the standard demands."""

    def checked(*xs):
        assert len({x.dtype for x in xs}) == 1, f"operands of different dtypes: {[x.dtype for x in xs]}"
        return f(*xs)

    return checked


def cast(x, to):
    return x.astype(to)


def reshape(x, shape, allowzero=0):
    sizes = [x.shape[i] if n == 0 and not allowzero else int(n) for i, n in enumerate(shape)]
    return x.reshape(sizes)


def shape(x, start=0, end=None):
    return np.array(x.shape[start:end], np.int64)


def slice_(x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    key = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        n = x.shape[axis]
        start, end = (int(k) + n if k < 0 else int(k) for k in (start, end))
        if step > 0:
            key[axis] = slice(min(max(start, 0), n), min(max(end, 0), n), int(step))
        else:
            end = min(max(end, -1), n - 1)
            key[axis] = slice(min(max(start, 0), n - 1), None if end < 0 else end, int(step))
    return x[tuple(key)]


def pad(x, pads):
    """Zeros before and after; a negative number takes cells away."""
    pairs = [(int(pads[i]), int(pads[x.ndim + i])) for i in range(x.ndim)]
    x = x[tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(x.shape, pairs, strict=True))]
    return np.pad(x, [(max(0, low), max(0, high)) for low, high in pairs])


def expand(x, shape):
    return np.array(np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in shape))))


def reduction(f):
    return lambda x, axes, keepdims=1: f(x, axis=tuple(int(a) for a in axes), keepdims=bool(keepdims)).astype(x.dtype)


def scatter_elements(x, indices, updates, axis, reduction):
    assert indices.shape == updates.shape
    assert reduction == "add"
    assert x.dtype == updates.dtype
    out = x.copy()
    for place in np.ndindex(*indices.shape):
        target = list(place)
        target[axis] = indices[place]
        out[tuple(target)] += updates[place]
    return out


def topk(x, k, axis, largest, sorted):
    assert (largest, sorted) == (0, 1)
    order = np.argsort(x, axis=axis, kind="stable").take(np.arange(int(k[0])), axis=axis)
    return np.take_along_axis(x, order, axis), order.astype(np.int64)


def frames(x, kernel_shape, strides, dilations, pads, fill):
    """(position, cell of the window, the (N, C) numbers there) of every window; ``fill`` in the padding."""
    dims = len(kernel_shape)
    x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:dims], pads[dims:], strict=True)], constant_values=fill)
    counts = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel_shape, strides, dilations, strict=True)
    ]
    for place in product(*map(range, counts)):
        for tap in product(*map(range, kernel_shape)):
            cell = [p * s + t * d for p, s, t, d in zip(place, strides, tap, dilations, strict=True)]
            yield counts, place, tap, x[(slice(None), slice(None), *cell)]


def conv(x, w, group, strides, dilations, kernel_shape, pads):
    assert tuple(w.shape[2:]) == tuple(kernel_shape)
    each, out = w.shape[1], w.shape[0] // group
    y = None
    for counts, place, tap, cells in frames(x, kernel_shape, strides, dilations, pads, 0):
        y = np.zeros((len(x), w.shape[0], *counts), x.dtype) if y is None else y
        for g in range(group):
            weights = w[(slice(g * out, (g + 1) * out), slice(None), *tap)]
            part = (slice(None), slice(g * out, (g + 1) * out), *place)
            y[part] += cells[:, g * each : (g + 1) * each] @ weights.T
    return y


def conv_transpose(x, w, group, strides, dilations, kernel_shape, pads):
    dims, each, out = len(kernel_shape), w.shape[0] // group, w.shape[1]
    rows = list(zip(x.shape[2:], kernel_shape, strides, dilations, strict=True))
    y = np.zeros((len(x), out * group, *[(n - 1) * s + d * (k - 1) + 1 for n, k, s, d in rows]), x.dtype)
    for place in product(*map(range, x.shape[2:])):
        for tap in product(*map(range, kernel_shape)):
            cell = [p * s + t * d for p, t, (_, _, s, d) in zip(place, tap, rows, strict=True)]
            for g in range(group):
                weights = w[(slice(g * each, (g + 1) * each), slice(None), *tap)]
                part = (slice(None), slice(g * out, (g + 1) * out), *cell)
                y[part] += x[(slice(None), slice(g * each, (g + 1) * each), *place)] @ weights
    inside = [slice(low, n - high) for n, low, high in zip(y.shape[2:], pads[:dims], pads[dims:], strict=True)]
    return y[(slice(None), slice(None), *inside)]


def max_pool(x, kernel_shape, strides, dilations, pads):
    y = None
    for counts, place, _, cells in frames(x, kernel_shape, strides, dilations, pads, -np.inf):
        y = np.full((*x.shape[:2], *counts), -np.inf, x.dtype) if y is None else y
        at = (slice(None), slice(None), *place)
        y[at] = np.maximum(y[at], cells)
    return y


def average_pool(x, kernel_shape, strides, pads):
    assert not any(pads)
    y = None
    for counts, place, _, cells in frames(x, kernel_shape, strides, (1,) * len(kernel_shape), pads, 0):
        y = np.zeros((*x.shape[:2], *counts), x.dtype) if y is None else y
        y[(slice(None), slice(None), *place)] += cells / np.prod(kernel_shape, dtype=x.dtype)
    return y


def where(condition, x, y):
    assert condition.dtype == bool
    assert x.dtype == y.dtype
    return np.where(condition, x, y)


def logical(f):
    def checked(*xs):
        assert all(x.dtype == bool for x in xs)
        return f(*xs)

    return checked


def mod(x, y, fmod=0):
    return np.fmod(x, y) if fmod else np.mod(x, y)


OPERATORS = {
    "Add": same(np.add), "Sub": same(np.subtract), "Mul": same(np.multiply), "Div": same(np.divide),
    "Neg": np.negative, "Exp": np.exp, "Log": np.log, "Sqrt": np.sqrt, "Tanh": np.tanh, "Sin": np.sin, "Cos": np.cos,
    "Atan": np.arctan, "Abs": np.abs, "Sign": np.sign, "Floor": np.floor, "Pow": np.power, "Mod": mod,
    "Erf": lambda x: np.vectorize(erf)(x).astype(x.dtype), "Max": same(np.maximum), "Min": same(np.minimum),
    "Greater": same(np.greater), "Less": same(np.less), "GreaterOrEqual": same(np.greater_equal),
    "LessOrEqual": same(np.less_equal), "Equal": same(np.equal), "Not": logical(np.logical_not),
    "And": logical(np.logical_and), "Or": logical(np.logical_or), "Xor": logical(np.logical_xor), "Where": where,
    "Cast": cast, "Reshape": reshape, "Shape": shape, "Slice": slice_, "Pad": pad, "Expand": expand,
    "Transpose": lambda x, perm: x.transpose(perm), "Concat": lambda *xs, axis: np.concatenate(xs, axis),
    "Gather": lambda x, i, axis: np.take(x, i, axis), "Identity": lambda x: x,
    "Squeeze": lambda x, axes: x.reshape([n for i, n in enumerate(x.shape) if i not in axes]),
    "Range": lambda start, limit, delta: np.arange(start, limit, delta), "MatMul": same(np.matmul),
    "ReduceSum": reduction(np.sum), "ReduceMax": reduction(np.max), "ReduceMin": reduction(np.min),
    "ScatterElements": scatter_elements, "TopK": topk, "Conv": conv, "ConvTranspose": conv_transpose,
    "MaxPool": max_pool, "AveragePool": average_pool,
}  # fmt: skip
