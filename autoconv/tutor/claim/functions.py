"""The functions of a formula: what each takes, what it costs, and what it computes.

    conv(x, w, stride=2, padding=1)    full(d, rot180(w))    dilate(d, 2)    softmax(z)    sum(x, axis=0)

The cost is worked out from shapes and settings alone, so that too much is refused before an array is made.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...functional import conv as compositions
from ...functional.activation import log_softmax, relu, sigmoid, softmax
from ...primitives import TABLE
from ...shapes import per_dimension, resolve_padding, spanned

__all__ = ["FUNCTIONS", "Function"]

Cost = tuple[float, float]  # numbers computed, and numbers of the result
Shape = tuple[int, ...]


class Function(NamedTuple):
    """``call(*arguments, **settings)``; ``least`` to ``most`` arguments, the first ``arrays`` of them are expressions
    and the others settings by place, named in order as ``settings``.

    cost: (*shapes of the arrays, **settings) -> how many numbers are computed and kept; None for a function of each
    element by itself.
    """

    call: Callable[..., Any]
    least: int = 1
    most: int = 1
    settings: tuple[str, ...] = ()
    cost: Callable[..., Cost] | None = None
    placed: tuple[str, ...] = ()  # settings that may stand by place, after the arrays

    @property
    def arrays(self) -> int:
        """How many of the arguments by place are expressions."""
        return self.most - len(self.placed)


# ---- convolutions


def dims_of(x: Shape, kernel: Shape, layout: str = "channels_last") -> int:
    """Along how many axes a kernel slides: (k,), (k, C, O); (kH, kW), (kH, kW, C, O); (kD, kH, kW, C, O)."""
    if len(kernel) == 3 and len(x) == 3:
        channels = x[1] == kernel[1] if first(layout) else x[-1] == kernel[1]
        return 1 if channels else 3
    return {1: 1, 3: 1, 5: 3}.get(len(kernel), 2)


def first(layout: Any) -> bool:
    """Whether a layout has its channels first, as "channels_first" or "NCHW"."""
    return layout == "channels_first" or (isinstance(layout, str) and layout.upper().startswith("NC"))


def _convolution(dims: int = 0, padding: Any = 0) -> Function:
    """Cross-correlation in the library's layout; ``padding``: where none is given."""

    def call(x: Any, kernel: Any, bias: Any = None, **settings: Any) -> Any:
        d = dims or dims_of(x.shape, kernel.shape, settings.get("layout", ""))
        return getattr(compositions, f"conv{d}d")(x, kernel, bias, **{"padding": padding} | settings)

    def cost(x: Shape, kernel: Shape, bias: Shape = (), **settings: Any) -> Cost:
        settings = {"padding": padding} | settings
        layout = settings.get("layout", "channels_last")
        d = dims or dims_of(x, kernel, layout)
        size, window, rest, filters = _parted(x, kernel, d, layout)
        stride, dilation = (per_dimension(settings.get(k, 1), d, k, 1) for k in ("stride", "dilation"))
        pairs = resolve_padding(settings["padding"], size, window, stride, dilation, "conv")
        padded = [n + low + high for n, (low, high) in zip(size, pairs, strict=True)]
        out = prod(
            max(0, (n - spanned(k, e)) // s + 1) for n, k, s, e in zip(padded, window, stride, dilation, strict=True)
        )
        products = float(out) * rest * prod(kernel)
        return products + float(prod(padded)) * prod(x) / max(prod(size), 1), max(
            float(out) * rest * filters, float(prod(padded)) * rest
        )

    settings = ("stride", "padding", "dilation", "groups", "flip", "layout")
    return Function(call, 2, 3, settings if padding == 0 else settings[:1] + settings[2:], cost)


def _transposed(dims: int = 0) -> Function:
    def call(x: Any, kernel: Any, bias: Any = None, **settings: Any) -> Any:
        d = dims or dims_of(x.shape, kernel.shape, settings.get("layout", ""))
        return getattr(compositions, f"conv_transpose{d}d")(x, kernel, bias, **settings)

    def cost(x: Shape, kernel: Shape, bias: Shape = (), **settings: Any) -> Cost:
        layout = settings.get("layout", "channels_last")
        d = dims or dims_of(x, kernel, layout)
        size, window, rest, _ = _parted(x, kernel, d, layout)
        stride, dilation = (per_dimension(settings.get(k, 1), d, k, 1) for k in ("stride", "dilation"))
        extra = per_dimension(settings.get("output_padding", 0), d, "output_padding", 0)
        sizes = zip(size, window, stride, dilation, extra, strict=True)
        canvas = float(prod(max(0, n - 1) * s + e * (k - 1) + 1 + o for n, k, s, e, o in sizes))
        return float(prod(size)) * rest * prod(kernel) + canvas * rest, canvas * rest * prod(kernel) / prod(window)

    return Function(
        call, 2, 3, ("stride", "padding", "output_padding", "dilation", "groups", "layout"), cost
    )  # fmt: skip


def _parted(x: Shape, kernel: Shape, dims: int, layout: Any) -> tuple[Shape, Shape, int, int]:
    """(cells along the spatial axes, the window, examples, filters) of a convolution."""
    if len(x) < dims or len(kernel) < dims:
        raise ValueError(f"a kernel of shape {kernel} does not slide over an array of shape {x}")
    plain = len(kernel) == dims
    if first(layout) and not plain:
        return x[-dims:], kernel[-dims:], x[0] if len(x) == dims + 2 else 1, kernel[0]
    lead = len(x) - dims - 1 if not plain else len(x) - dims
    size = x[lead : lead + dims] if lead >= 0 else x[:dims]
    return size, kernel[:dims], x[0] if lead == 1 else 1, 1 if plain else kernel[-1]


# ---- arrays moved


def _rot180(kernel: Any, layout: str = "channels_last") -> Any:
    """A kernel turned along all axes along which it slides."""
    if not kernel.ndim:
        raise ValueError("a number cannot be rotated")
    dims = {1: 1, 3: 1, 5: 3}.get(kernel.ndim, 2)
    return np.flip(kernel, tuple(range(kernel.ndim - dims, kernel.ndim) if first(layout) else range(dims)))


def spatial(ndim: int, axis: Any, layout: str) -> Shape:
    """The axes of images: all of a plain one, else those between the examples and the channels; or ``axis``."""
    if axis is not None:
        given = axis if isinstance(axis, tuple) else (axis,)
        if any(not -ndim <= a < ndim for a in given) or len({a % ndim for a in given}) < len(given):
            raise ValueError(f"axis {axis} does not fit an array of {ndim} axes")
        return tuple(a % ndim for a in given)
    if ndim < 3:
        return tuple(range(ndim))
    lead = 0 if ndim == 3 else 1
    return tuple(range(lead + 1, ndim) if first(layout) else range(lead, ndim - 1))


def _dilate(x: Any, factor: Any, axis: Any = None, layout: str = "channels_last") -> Any:
    """factor - 1 zeros between neighbours along the spatial axes: what a stride spreads the gradient with."""
    axes = spatial(x.ndim, axis, layout)
    factors = per_dimension(factor, len(axes), "dilate: the factor", 1)
    made = np.zeros(_spread(x.shape, axes, factors))
    steps = dict(zip(axes, factors, strict=True))
    made[tuple(slice(None, None, steps.get(a, 1)) for a in range(x.ndim))] = x
    return made


def _spread(shape: Shape, axes: Shape, factors: Shape) -> Shape:
    steps = dict(zip(axes, factors, strict=True))
    return tuple(max(0, (n - 1) * steps.get(a, 1) + 1) for a, n in enumerate(shape))


def _dilate_cost(x: Shape, factor: Any, axis: Any = None, layout: str = "channels_last") -> Cost:
    axes = spatial(len(x), axis, layout)
    size = float(prod(_spread(x, axes, per_dimension(factor, len(axes), "dilate: the factor", 1))))
    return size, size


def _pad(x: Any, width: Any, axis: Any = None, layout: str = "channels_last") -> Any:
    """Zeros around the spatial axes: a number, or (low, high) pairs."""
    pairs = dict(zip(*_widths(x.shape, width, axis, layout), strict=True))
    return np.pad(x, [pairs.get(a, (0, 0)) for a in range(x.ndim)])


def _widths(x: Shape, width: Any, axis: Any, layout: str) -> tuple[Shape, tuple[tuple[int, int], ...]]:
    axes = spatial(len(x), axis, layout)
    sizes = tuple(x[a] for a in axes)
    ones = (1,) * len(axes)
    return axes, resolve_padding(width, sizes, ones, ones, ones, "pad")


def _pad_cost(x: Shape, width: Any, axis: Any = None, layout: str = "channels_last") -> Cost:
    axes, pairs = _widths(x, width, axis, layout)
    more = dict(zip(axes, pairs, strict=True))
    size = float(prod(n + sum(more.get(a, (0, 0))) for a, n in enumerate(x)))
    return size, size


# ---- whole arrays


def _reduced(whole: Callable[..., Any], pairs: Callable[..., Any] | None = None) -> Function:
    """sum(x), sum(x, axis=0); max(x, y) is the larger of two, element by element."""

    def call(x: Any, *more: Any, **settings: Any) -> Any:
        return pairs(x, *more) if more and pairs else whole(x, **settings)

    def cost(x: Shape, *more: Shape, **settings: Any) -> Cost:
        size = float(prod(np.broadcast_shapes(x, *more))) if pairs else float(prod(x))
        return size, size if more else 0.0

    return Function(call, 1, 2, ("axis", "keepdims"), cost, () if pairs else ("axis",))


def _matmul_cost(a: Shape, b: Shape) -> Cost:
    if not a or not b:
        raise ValueError("matmul is of vectors and matrices; numbers are multiplied with *")
    lead = prod(np.broadcast_shapes(a[:-2], b[:-2]))
    rows, columns = prod(a[-2:-1]), prod(b[-1:]) if len(b) > 1 else 1
    return float(lead) * rows * columns * a[-1], float(lead) * rows * columns


def _along(call: Callable[..., Any]) -> Function:
    """A function along an axis, the last one if none is given."""
    along = lambda x, axis=-1: np.asarray(call(x, axis=axis))
    return Function(along, 1, 2, ("axis",), lambda x, axis=-1: (4.0 * prod(x), float(prod(x))), ("axis",))


_IMAGE = ("axis", "layout")
FUNCTIONS: dict[str, Function] = {
    "abs": Function(np.abs),
    **{row.name: Function(row.forward) for row in TABLE.values() if row.function},
    "sign": Function(np.sign),
    "sigmoid": Function(lambda x: sigmoid(np.asarray(x))),
    "relu": Function(lambda x: relu(np.asarray(x))),
    "delta": Function(lambda i, j: np.equal(i, j).astype(float), 2, 2),
    "max": _reduced(np.max, np.maximum),
    "min": _reduced(np.min, np.minimum),
    "sum": _reduced(np.sum),
    "mean": _reduced(np.mean),
    "softmax": _along(softmax),
    "log_softmax": _along(log_softmax),
    "matmul": Function(np.matmul, 2, 2, (), _matmul_cost),
    "transpose": Function(np.transpose, cost=lambda x: (float(prod(x)), float(prod(x)))),
    "conv": _convolution(),
    "conv1d": _convolution(1),
    "conv2d": _convolution(2),
    "conv3d": _convolution(3),
    "full": _convolution(padding="full"),
    "conv_transpose": _transposed(),
    "rot180": Function(_rot180, 1, 1, ("layout",), lambda x, layout="": (float(prod(x)), float(prod(x)))),
    "dilate": Function(_dilate, 2, 2, ("factor", *_IMAGE), _dilate_cost, ("factor",)),
    "pad": Function(_pad, 2, 2, ("width", *_IMAGE), _pad_cost, ("width",)),
}
